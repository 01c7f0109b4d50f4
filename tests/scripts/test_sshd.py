"""Over a real ssh, to a real sshd on loopback."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import assert_equal, in_step, write
from loopback import Loopback, NoSshdError


@pytest.fixture
def home(environment: dict[str, str]) -> Path:
    return Path(environment["HOME"])


@pytest.fixture
def sshd(environment: dict[str, str], home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    try:
        made = Loopback(tmp_path_factory.mktemp("sshd"), home, path)
    except NoSshdError as error:
        pytest.skip(str(error))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def docs(cli, home: Path, sshd: Loopback) -> Path:
    cli("config", "--user", "core.ssh_command", sshd.command)
    root = home / "docs"
    for number in range(300):
        write(root / f"{number % 5}/{number}", b"%d\n" % number * number)
    write(root / "large", os.urandom(3 << 20))
    return root


def test_two_folders_over_ssh(cli, docs: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    done = cli("clone", f"there:{docs}", "here")
    assert "is a replica now" in done.err
    assert_equal(docs, here)
    write(here / "mine", os.urandom(2 << 20))
    write(docs / "theirs", "t")
    in_step(cli, docs, here)
    write(docs / "0/0", "again")
    cli("fetch", "--content", cwd=here)
    cli("pull", cwd=here)
    assert_equal(docs, here)
    os.unlink(here / "0/0")
    cli("restore", "--from", "origin", ".", cwd=here)
    assert_equal(docs, here)


def test_a_url_with_a_port(cli, docs: Path, sshd: Loopback, tmp_path: Path) -> None:
    import pwd

    user = pwd.getpwuid(os.getuid()).pw_name
    cli("config", "--user", "core.ssh_command", f"{sshd.command} -i {sshd.base}/key")
    cli("clone", f"ssh://{user}@127.0.0.1:{sshd.port}{docs}", "here")
    assert_equal(docs, tmp_path / "here")


def test_a_forced_command(cli, docs: Path, sshd: Loopback, tmp_path: Path) -> None:
    cli("clone", f"there:{docs}", "here")
    sshd.allow(f'command="replican serve --stdio --root {docs} --read-only",restrict')
    here = tmp_path / "here"
    write(docs / "theirs", "t")
    cli("remote", "set-url", "origin", "there:/etc", cwd=here)
    cli("pull", cwd=here)
    assert_equal(docs, here)
    write(here / "mine", "m")
    assert "read-only" in cli("sync", cwd=here, code=3).err
    assert not (docs / "mine").exists()


def test_no_way_in(cli, docs: Path, sshd: Loopback, tmp_path: Path) -> None:
    (sshd.base / "authorized_keys").write_text((sshd.base / "other_key.pub").read_text())
    done = cli("clone", f"there:{docs}", "here", code=5)
    assert "Permission denied" in done.err
    assert "remote origin cannot be reached: ssh ended with 255" in done.err
    assert not (tmp_path / "here").exists()
    assert not (docs / ".replican").exists()


def test_nobody_listens(cli, docs: Path, sshd: Loopback) -> None:
    sshd.stop()
    assert "refused" in cli("ls-remote", f"there:{docs}", code=5).err
