"""Remotes on other machines, from the command line. What is run in the place of ssh runs right here."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from false_ssh import cut_after, false_ssh
from folders import assert_equal, contents, head, in_step, snapshot, write

LARGE = b"".join(b"%d\n" % number for number in range(300_000))


@pytest.fixture
def ssh(tmp_path: Path, environment: dict[str, str]) -> Path:
    """All commands are to reach other machines by it: these have the home of this one."""
    path = false_ssh(tmp_path)
    environment["REPLICAN_SSH"] = str(path)
    return path


@pytest.fixture
def home(environment: dict[str, str]) -> Path:
    return Path(environment["HOME"])


@pytest.fixture
def pair(cli, ssh: Path, home: Path, tmp_path: Path) -> tuple[Path, Path]:
    """``docs`` in the home over there, and its clone."""
    there, here = home / "docs", tmp_path / "here"
    write(there / "letter.txt", "dear")
    write(there / "photos/large", LARGE)
    write(there / "empty", "")
    os.symlink("letter.txt", there / "link")
    os.chmod(write(there / "tool", "#!/bin/sh\n"), 0o750)
    (there / "nothing").mkdir()
    done = cli("clone", "host:docs", "here")
    assert "host:docs is a replica now" in done.err
    size = r"[0-9.]+ (bytes|[kM]B)"
    told = rf"^replican: origin: {size} received, {size} sent, 4 files, {size}/s$"
    assert re.search(told, done.err, re.MULTILINE), done.err  # and nothing is saved by what came early
    assert "cloned host:docs to " in done.text
    assert_equal(there, here)
    return there, here


def test_all_of_it(cli, pair: tuple[Path, Path]) -> None:
    there, here = pair
    assert cli("remote", "-v", cwd=here).text == "origin\thost:docs\n"
    assert cli("ls-remote", cwd=here).text == f"{head(cli, there)}\thead\n"
    assert in_step(cli, there, here).startswith("origin: nothing to do; in step at ")
    write(there / "new", "n")
    old = head(cli, here)
    fetched = cli("fetch", cwd=here)
    assert fetched.text.split() == [f"{old[:7]}..{head(cli, there)[:7]}", "head", "->", "origin/head"]
    assert "from host:docs" in fetched.err
    assert cli("merge", "remote", cwd=here).text.endswith("fast-forward: 1 added\n")
    assert_equal(there, here)
    write(there / "letter.txt", "by there")
    assert "1 changed" in cli("pull", cwd=here).text
    write(here / "mine", "m")
    cli("commit", cwd=here)
    assert "(1 added)" in cli("push", cwd=here).text
    assert_equal(there, here)
    write(there / "letter.txt", "by there again", 10**18)
    write(here / "letter.txt", "by here", 2 * 10**18)
    assert "1 conflict" in in_step(cli, there, here)
    os.unlink(here / "photos/large")
    os.unlink(here / "link")
    assert "restored 2 files (2 from origin)" in cli("restore", "--from", "origin", ".", cwd=here).text
    assert_equal(there, here)
    assert cli("fsck", "--content", cwd=here).code == 0


def test_addresses(cli, pair: tuple[Path, Path], home: Path, tmp_path: Path) -> None:
    there, _ = pair
    for number, url in enumerate((f"host:{there}", "me@host:~/docs", "ssh://host:22/~/docs", f"ssh://me@host{there}")):
        cli("clone", url, f"copy{number}")
        assert_equal(there, tmp_path / f"copy{number}")
        assert cli("ls-remote", url).text == f"{head(cli, there)}\thead\n"
    odd = home / "a 'b'\n$(touch made); ~"
    write(odd / "file", "x")
    cli("clone", f"ssh://host{str(odd).replace(chr(10), '%0A')}", "odd")
    assert_equal(odd, tmp_path / "odd")
    assert not (home / "made").exists()
    cli("clone", "host:docs")
    assert_equal(there, tmp_path / "docs")


def test_a_part_of_a_replica(cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """It is made none of its own, unless that was meant over there: what is around it would leave it alone."""
    there, _ = pair
    refused = cli("clone", "host:docs/photos", "copy", code=3)
    assert f"'{there}/photos' lies in the replica '{there}'" in refused.err
    assert f"run `replican init --nested {there}/photos` first" in refused.err
    assert not (there / "photos/.replican").exists()
    assert not (tmp_path / "copy").exists()
    cli("init", "--nested", there / "photos")
    cli("clone", "host:docs/photos", "copy")
    assert (tmp_path / "copy/large").read_bytes() == LARGE


def test_what_cannot_be_reached(cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, here = pair
    failed = cli("clone", "unreachable:docs", "copy", code=5)
    assert "no route to unreachable" in failed.err
    assert "remote origin cannot be reached: false-ssh ended with 255: ssh: no route to unreachable" in failed.err
    assert not (tmp_path / "copy").exists()
    assert "replican: host:nowhere: there is no folder at" in cli("clone", "host:nowhere", "copy", code=8).err
    assert not (tmp_path / "copy").exists()
    assert "remote host:nowhere: there is no folder at" in cli("ls-remote", "host:nowhere", code=5).err
    cli("remote", "set-url", "origin", "unreachable:docs", cwd=here)
    os.unlink(here / "letter.txt")
    for words in (["restore", "--from", "origin", "."], ["fetch"], ["pull"], ["push"], ["sync"], ["ls-remote"]):
        assert "cannot be reached" in cli(*words, cwd=here, code=5).err
    assert "unreachable" in cli("cat-object", "-p", "ab" * 32, cwd=here, code=1).err
    cli("remote", "set-url", "origin", "host:nowhere", cwd=here)
    assert "there is no folder at" in cli("sync", cwd=here, code=5).err


def test_a_program_that_is_not_there(cli, pair: tuple[Path, Path], ssh: Path) -> None:
    _, here = pair
    cli("config", "remote.origin.serve_command", "no-such-replican", cwd=here)
    done = cli("sync", cwd=here, code=5)
    assert "there is no replican" in done.err
    assert "serve_command" in done.err
    cli("config", "remote.origin.serve_command", "env X=1 replican", cwd=here)
    cli("sync", cwd=here)
    assert "cannot run" in cli("sync", cwd=here, env={"REPLICAN_SSH": "/no/such/ssh"}, code=5).err
    cli("config", "core.ssh_command", f"'{ssh}'", cwd=here)
    cli("sync", cwd=here, env={"REPLICAN_SSH": ""})
    cli("config", "core.ssh_command", "'", cwd=here)
    assert "core.ssh_command" in cli("sync", cwd=here, env={"REPLICAN_SSH": ""}, code=2).err


def test_a_login_that_talks(cli, pair: tuple[Path, Path], ssh: Path) -> None:
    _, here = pair
    cli("config", "remote.origin.serve_command", "echo Welcome; replican", cwd=here)
    done = cli("sync", cwd=here, code=5)
    assert "broke the protocol: it does not speak the protocol of replican: it began with b'Welcome\\n" in done.err
    assert "login" in done.err


def test_a_forced_command(cli, pair: tuple[Path, Path], home: Path, ssh: Path) -> None:
    """Whatever is asked for, the key opens one folder, and only to be read."""
    there, here = pair
    write(home / "secret/file", "s")
    text = ssh.read_text().replace('sh -c "$1"', "replican serve --stdio --root ~/docs --read-only")
    ssh.write_text(text)
    write(there / "new", "n")
    cli("remote", "set-url", "origin", "host:secret", cwd=here)
    cli("pull", cwd=here)
    assert_equal(there, here)
    write(here / "mine", "m")
    assert "read-only" in cli("sync", cwd=here, code=3).err
    assert not (there / "mine").exists()
    assert not (home / "secret/.replican").exists()


def test_no_init(cli, ssh: Path, home: Path, tmp_path: Path) -> None:
    write(home / "plain/file", "x")
    assert "is no replica" in cli("clone", "--no-init", "host:plain", "copy", code=8).err
    assert not (home / "plain/.replican").exists()
    assert not (tmp_path / "copy").exists()


def test_a_clone_into_a_folder_with_files(cli, ssh: Path, home: Path, tmp_path: Path) -> None:
    write(home / "docs/theirs", "t")
    write(home / "docs/both", "by there", 10**18)
    write(tmp_path / "here/mine", "m")
    write(tmp_path / "here/both", "by here", 2 * 10**18)
    cli("clone", "host:docs", "here", code=3)
    cli("clone", "--join", "host:docs", "here")
    in_step(cli, home / "docs", tmp_path / "here")
    assert {"theirs", "mine", "both"} < set(contents(tmp_path / "here"))


def test_a_clone_of_much_text_is_small_on_the_wire(cli, ssh: Path, home: Path, tmp_path: Path) -> None:
    size = 0
    for number in range(1500):
        text = b"this is the text of file %d\n" % number * 40
        write(home / f"docs/{number % 30}/file {number}", text)
        size += len(text)
    wire = tmp_path / "wire"
    ssh.write_text(ssh.read_text().replace('exec sh -c "$1"', f'sh -c "$1" | tee {wire}'))
    cli("clone", "host:docs", "here")
    assert_equal(home / "docs", tmp_path / "here")
    assert wire.stat().st_size < 0.2 * size


def test_nothing_to_do_is_little_on_the_wire(cli, pair: tuple[Path, Path], ssh: Path, tmp_path: Path) -> None:
    _, here = pair
    to, fro = tmp_path / "to", tmp_path / "fro"
    ssh.write_text(ssh.read_text().replace('exec sh -c "$1"', f'tee {to} | sh -c "$1" | tee {fro}'))
    cli("sync", cwd=here)
    assert to.stat().st_size + fro.stat().st_size < 600


def test_a_file_that_changes_all_the_time_is_delivered(cli, pair: tuple[Path, Path], ssh: Path, tmp_path: Path) -> None:
    there, here = pair
    script = tmp_path / "changes"
    script.write_text("while :; do date +%s%N | dd of=$1/changing conv=notrunc 2>/dev/null; sleep 0.02; done")
    writer = subprocess.Popen(["sh", script, there])
    try:
        while not ((there / "changing").exists() and (there / "changing").read_bytes()):
            time.sleep(0.01)
        cli("pull", cwd=here)
        first = (here / "changing").read_bytes()
        assert first.strip().isdigit()
        cli("sync", cwd=here)
        assert int((here / "changing").read_bytes()) > int(first)
    finally:
        writer.kill()
        writer.wait()
    assert os.listdir(there / ".replican/stage") == []


@pytest.mark.parametrize("after", [40, 4000, 900_000])
def test_a_link_that_is_cut_goes_on_where_it_was(cli, ssh: Path, home: Path, tmp_path: Path, after: int) -> None:
    for number in range(60):
        write(home / f"docs/{number}", os.urandom(20_000))
    write(home / "docs/large", os.urandom(4 << 20))
    whole = ssh.read_text()
    ssh.write_text(whole.replace('exec sh -c "$1"', f'sh -c "$1" | {cut_after(after)}'))
    failed = cli("clone", "host:docs", "here", code=5)
    assert "cannot be reached" in failed.err
    assert contents(tmp_path / "here") == {} if after > 40 else not (tmp_path / "here").exists()
    wire = tmp_path / "wire"
    ssh.write_text(whole.replace('exec sh -c "$1"', f'sh -c "$1" | tee {wire}'))
    cli("clone", "host:docs", "here")
    assert_equal(home / "docs", tmp_path / "here")
    if after == 900_000:
        assert wire.stat().st_size < (4 << 20) + 60 * 20_000 - 600_000


def test_a_large_file_goes_on_where_it_was(cli, pair: tuple[Path, Path], ssh: Path, tmp_path: Path) -> None:
    there, here = pair
    write(there / "huge", os.urandom(8 << 20))
    whole = ssh.read_text()
    ssh.write_text(whole.replace('exec sh -c "$1"', f'sh -c "$1" | {cut_after(6 << 20)}'))
    cli("pull", cwd=here, code=5)
    assert not (here / "huge").exists()
    wire = tmp_path / "wire"
    ssh.write_text(whole.replace('exec sh -c "$1"', f'sh -c "$1" | tee {wire}'))
    cli("pull", cwd=here)
    assert_equal(there, here)
    assert wire.stat().st_size < 3 << 20


def test_a_push_that_is_cut(cli, pair: tuple[Path, Path], ssh: Path) -> None:
    there, here = pair
    before = snapshot(there)
    write(here / "huge", os.urandom(8 << 20))
    cli("commit", cwd=here)
    whole = ssh.read_text()
    ssh.write_text(whole.replace('exec sh -c "$1"', f'{cut_after(6 << 20)} | sh -c "$1"'))
    cli("push", cwd=here, code=5)
    assert snapshot(there) == before
    ssh.write_text(whole)
    cli("push", cwd=here)
    assert_equal(there, here)


def test_several_machines(cli, pair: tuple[Path, Path], home: Path, tmp_path: Path) -> None:
    """What one remote has no more, another has."""
    there, here = pair
    cli("clone", there, home / "second")
    cli("remote", "add", "second", "host:second", cwd=here)
    write(there / "new", "n" * 5000)
    cli("fetch", cwd=here)
    write(home / "second/elsewhere", "n" * 5000)
    cli("commit", cwd=home / "second")
    os.unlink(there / "new")
    assert cli("merge", "origin", cwd=here).code == 0
    assert (here / "new").read_text() == "n" * 5000
    assert cli("cat-object", "-p", "origin/head:new", cwd=here).text == "n" * 5000


def test_content_of_a_remote(cli, pair: tuple[Path, Path]) -> None:
    _, here = pair
    os.unlink(here / "photos/large")
    os.unlink(here / "letter.txt")
    os.unlink(here / "link")
    cli("commit", cwd=here)
    cli("gc", cwd=here)
    shutil.rmtree(here / ".replican/trash")
    assert cli("cat-object", "-p", "HEAD@{1}:photos/large", cwd=here).out == LARGE
    assert cli("cat-object", "-p", "HEAD@{1}:letter.txt", cwd=here).text == "dear"
    assert cli("cat-object", "-p", "HEAD@{1}:link", cwd=here).text == "letter.txt"
