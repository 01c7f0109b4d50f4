"""Over a real ssh, to a real sshd on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from folders import assert_equal, in_step, write
from loopback import Loopback, NoSshdError
from watching import eventually


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


def assert_no_way(done, message: str, hint: str) -> None:
    """It says what is in the way, and what to do, in lines of its own after what ssh has said."""
    *_, problem = [line for line in done.err.splitlines() if line.startswith("replican: ")]
    assert problem.startswith(f"replican: remote origin cannot be reached: {message}")
    assert hint in done.err.partition(problem)[2]
    assert all(line.startswith("hint: ") for line in done.err.partition(problem)[2].splitlines() if line)


def test_no_way_in(cli, docs: Path, sshd: Loopback, tmp_path: Path) -> None:
    (sshd.base / "authorized_keys").write_text((sshd.base / "other_key.pub").read_text())
    done = cli("clone", f"there:{docs}", "here", code=5)
    assert_no_way(done, "ssh ended with 255: ", "is it in authorized_keys there?")
    assert "Permission denied (publickey)\n" in done.err
    assert f"`{sshd.command} there` has to work" in done.err
    assert not (tmp_path / "here").exists()
    assert not (docs / ".replican").exists()


@pytest.mark.parametrize("known", ["other_key.pub", "nothing"])
def test_another_machine(cli, docs: Path, sshd: Loopback, tmp_path: Path, known: str) -> None:
    """Its key is not that of before, or was never seen, and nobody is there to be asked."""
    cli("clone", f"there:{docs}", "here")
    write(docs / "theirs", "t")
    (sshd.base / "nothing").touch()
    key = (sshd.base / known).read_text()
    (sshd.base / "known").write_text(f"[127.0.0.1]:{sshd.port} {key}" if key else "")
    cli("config", "--user", "core.ssh_command", f"{sshd.command} -o StrictHostKeyChecking=yes")
    for command in ("pull", "push", "sync", "fetch"):
        done = cli(command, cwd=tmp_path / "here", code=5)
        assert_no_way(done, "ssh ended with 255: Host key verification failed", "another machine than before")
    assert cli("sync", "--json", cwd=tmp_path / "here", code=5).err.count('"code": "link"') == 1
    assert not (tmp_path / "here/theirs").exists()


def test_nobody_listens(cli, docs: Path, sshd: Loopback, tmp_path: Path) -> None:
    cli("clone", f"there:{docs}", "here")
    sshd.stop()
    for command in ("pull", "push", "sync", "fetch"):
        done = cli(command, cwd=tmp_path / "here", code=5)
        assert_no_way(done, "ssh ended with 255: connect to host 127.0.0.1 port ", "does sshd run there?")
    assert "refused" in cli("ls-remote", f"there:{docs}", code=5).err


def test_no_such_machine(cli, docs: Path) -> None:
    done = cli("clone", "no.such.machine.invalid:docs", "here", code=5)
    assert_no_way(done, "ssh ended with 255: Could not resolve hostname", "is the name right")


def test_no_replican_there(cli, docs: Path, home: Path) -> None:
    for word in ("/no/such/replican", "no-such-replican"):
        done = cli("clone", "--serve-command", word, f"there:{docs}", "here", code=5)
        assert_no_way(done, "there is no replican", "--serve-command) says what is run there")
    write(home / "not-a-program", "x")
    done = cli("clone", "--serve-command", str(home / "not-a-program"), f"there:{docs}", "here", code=5)
    assert_no_way(done, "what is there for replican cannot be run: ", "--serve-command) says what is run there")
    done = cli("clone", "--serve-command", "echo hello; replican", f"there:{docs}", "here", code=5)
    assert "hint: does the login there print something?" in done.err


@pytest.fixture
def master(cli, docs: Path, sshd: Loopback) -> Iterator[list[str | Path]]:
    """How ssh is called, so that those who reach the same machine share a connection, which stays."""
    config = sshd.base / "shared_config"
    shared = f" ControlMaster auto\n ControlPath {sshd.base}/%C\n ControlPersist 100\n"
    config.write_text(sshd.config.read_text() + shared)
    cli("config", "--user", "core.ssh_command", f"ssh -F {config}")
    yield ["ssh", "-F", config]
    subprocess.run(["ssh", "-F", config, "-O", "exit", "there"], capture_output=True, check=False)


def whose(master: list[str | Path]) -> str:
    """Who holds the shared connection."""
    return subprocess.run([*master, "-O", "check", "there"], capture_output=True, text=True, check=False).stderr


def test_a_connection_that_stays(cli, docs: Path, master: list[str | Path], tmp_path: Path) -> None:
    """All commands go over it, and whoever reads what they say does not wait until it ends."""
    cli("clone", f"there:{docs}", "here")
    holder = whose(master)
    assert "Master running" in holder
    here = tmp_path / "here"
    write(here / "mine", "m")
    write(docs / "theirs", "t")
    in_step(cli, docs, here)
    write(here / "mine", "n")
    cli("commit", cwd=here)
    cli("push", cwd=here)
    cli("fetch", cwd=here)
    assert_equal(docs, here)
    assert whose(master) == holder


def test_a_connection_that_others_use(cli, docs: Path, master: list[str | Path], tmp_path: Path) -> None:
    """A command's own ssh has it, and does not end with the command: it is left to the others, and nobody waits."""
    config = Path(master[-1])
    config.write_text(config.read_text().replace("ControlPersist 100", "ControlPersist no"))
    cli("clone", f"there:{docs}", "here")
    os.mkfifo(tmp_path / "gate")
    far = write(tmp_path / "far", f'#!/bin/sh\ntouch {tmp_path}/begun\ncat {tmp_path}/gate\nexec replican "$@"\n')
    far.chmod(0o755)
    cli("config", "remote.origin.serve_command", str(far), cwd=tmp_path / "here")
    with ThreadPoolExecutor() as pool:
        pulled = pool.submit(cli, "pull", cwd=tmp_path / "here")
        eventually((tmp_path / "begun").exists)
        other = subprocess.Popen([*master, "there", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert other.stdin is not None
        assert other.stdout is not None
        try:
            other.stdin.write(b"1\n")
            assert other.stdout.readline() == b"1\n"  # it goes by the connection of the command
            (tmp_path / "gate").write_bytes(b"")
            assert pulled.result().text == "origin: already up to date\n"
            other.stdin.write(b"2\n")
            assert other.stdout.readline() == b"2\n"
            other.stdin.close()
            assert other.wait(20) == 0
        finally:
            other.kill()
            other.wait()
            other.stdout.close()
