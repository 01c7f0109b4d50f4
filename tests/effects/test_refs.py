"""Refs: compare-and-swap, and a reflog that always knows what a ref was."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from replican.effects.refs import ANY, RefStore, check_ref_name, is_remote_name, remote_head
from replican.values.errors import DamagedError, MovedError, UsageError
from replican.values.ids import CheckpointId

A, B, C = (CheckpointId(bytes([number]) * 32) for number in (0xA0, 0xB0, 0xC0))
NOBODY = "0" * 64


@pytest.fixture
def refs(tmp_path: Path) -> RefStore:
    return RefStore(str(tmp_path))


def test_a_ref_that_is_not_there(refs: RefStore, tmp_path: Path) -> None:
    assert refs.read("head") is None
    assert refs.names() == []
    assert refs.reflog("head") == []
    assert list(tmp_path.iterdir()) == []


def test_a_ref_moves_only_from_where_it_is_thought_to_be(refs: RefStore, tmp_path: Path) -> None:
    refs.update("head", A, None, "commit: first", "Ann")
    assert refs.read("head") == A
    assert (tmp_path / "refs" / "head").read_bytes() == A.hex().encode() + b"\n"
    for wrong in (None, B):
        with pytest.raises(MovedError, match=A.hex()):
            refs.update("head", C, wrong, "", "Ann")
    with pytest.raises(MovedError, match="not there any more"):
        refs.update("remotes/o/head", C, A, "", "Ann")
    assert refs.read("head") == A
    refs.update("head", B, A, "commit: second", "Ann")
    refs.update("head", C, ANY, "forced", "Ann")
    assert refs.read("head") == C
    assert [(entry.old, entry.new) for entry in refs.reflog("head")] == [(B, C), (A, B), (None, A)]


def test_the_reflog_has_gits_form(refs: RefStore, tmp_path: Path) -> None:
    refs.update("head", A, None, "commit: a\nb\tc", "Ann\nBell <1>", time_s=-5)
    refs.update("head", B, A, "merge \udcff", "", time_s=1_700_000_000)
    log = (tmp_path / "refs" / "head.log").read_bytes()
    assert (
        log
        == (
            f"{NOBODY} {A.hex()} Ann Bell <1> -5 +0000\tcommit: a b c\n"
            f"{A.hex()} {B.hex()}  1700000000 +0000\tmerge \\udcff\n"
        ).encode()
    )
    newest, first = refs.reflog("head")
    assert (first.who, first.time, first.reason) == ("Ann Bell <1>", -5, "commit: a b c")
    assert (newest.who, newest.time) == ("", 1_700_000_000)


def test_moving_to_where_it_is_writes_nothing(refs: RefStore) -> None:
    refs.update("head", A, None, "", "")
    refs.update("head", A, A, "", "")
    assert len(refs.reflog("head")) == 1


def test_names(refs: RefStore, tmp_path: Path) -> None:
    for name in ("stores/b/head", "remotes/origin/head", "head", "remotes/a.b-c/head"):
        refs.update(name, A, None, "", "")
    (tmp_path / "refs" / "remotes" / "stray").mkdir()
    (tmp_path / "refs" / "remotes" / "tmp-1-1").write_bytes(b"")
    assert refs.names() == ["head", "remotes/a.b-c/head", "remotes/origin/head", "stores/b/head"]
    assert remote_head("origin") == "remotes/origin/head"


@pytest.mark.parametrize(
    "name",
    ["", "HEAD", "Head", "head/", "/head", "../head", "remotes/../head", "remotes//head", "remotes/a/b/head",
     "remotes/a", "remotes/-a/head", "remotes/.a/head", "remotes/a./head", "remotes/a..b/head", "remotes/a b/head",
     "remotes/ä/head", "remotes/a\n/head", "head\n", "head.log", "remotes/" + "a" * 65 + "/head", "refs/head",
     "tags/a/head"],
)  # fmt: skip
def test_names_that_no_ref_can_have(refs: RefStore, name: str) -> None:
    with pytest.raises(UsageError):
        check_ref_name(name)
    with pytest.raises(UsageError):
        refs.read(name)
    with pytest.raises(UsageError):
        refs.update(name, A, ANY, "", "")


def test_names_of_remotes() -> None:
    assert all(is_remote_name(name) for name in ("origin", "a", "my.host-2", "_x", "remote", "0", "a" * 64))
    assert not any(is_remote_name(name) for name in ("", "-a", ".", "a/b", "a..b", "a.", "a" * 65, "a\n", "~"))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"0" * 63 + b"\n", b"a" * 64, b"A" * 64 + b"\n", b"a" * 65 + b"\n", b"\0" * 65, b"ref: x\n"]
)
def test_a_damaged_ref_is_named_with_its_last_value(refs: RefStore, tmp_path: Path, content: bytes) -> None:
    refs.update("head", A, None, "", "")
    refs.update("head", B, A, "", "")
    (tmp_path / "refs" / "head").write_bytes(content)
    with pytest.raises(DamagedError, match="the ref head") as caught:
        refs.read("head")
    assert B.hex() in (caught.value.hint or "")
    with pytest.raises(DamagedError):
        refs.update("head", C, B, "", "")
    assert [entry.new for entry in refs.reflog("head")] == [B, A]
    refs.update("head", B, ANY, "mended", "")
    assert refs.read("head") == B
    refs.update("head", C, B, "", "")
    assert [entry.new for entry in refs.reflog("head")][-2:] == [B, A]


def test_a_lost_ref_is_not_taken_for_an_empty_log(refs: RefStore, tmp_path: Path) -> None:
    refs.update("head", A, None, "", "")
    refs.update("head", B, A, "", "")
    (tmp_path / "refs" / "head").unlink()
    with pytest.raises(DamagedError, match="missing"):
        refs.read("head")
    refs.update("head", B, ANY, "mended", "")
    assert refs.read("head") == B


def test_a_ref_is_never_read_through_a_link(refs: RefStore, tmp_path: Path) -> None:
    refs.update("head", A, None, "", "")
    (tmp_path / "elsewhere").write_text(B.hex() + "\n")
    (tmp_path / "refs" / "head").unlink()
    (tmp_path / "refs" / "head").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedError):
        refs.read("head")


def _killed_before_the_ref_moved(refs: RefStore, monkeypatch: pytest.MonkeyPatch, new: CheckpointId) -> None:
    def killed(path: str, content: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("replican.effects.durable.replace_file", killed)
        with pytest.raises(KeyboardInterrupt):
            refs.update("head", new, ANY, "killed", "")


def test_a_reflog_is_read_without_room_for_the_largest(refs: RefStore) -> None:
    """A gigabyte was asked for, for a moment: more than a process may have where that is limited."""
    refs.update("head", A, None, "commit: first", "Ann")
    tracemalloc.start()
    try:
        assert [line.new for line in refs.reflog("head")] == [A]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_move_that_never_came_about_is_not_in_the_reflog(refs: RefStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _killed_before_the_ref_moved(refs, monkeypatch, C)
    _killed_before_the_ref_moved(refs, monkeypatch, B)
    assert refs.read("head") is None
    assert refs.reflog("head") == []
    refs.update("head", A, None, "first", "")
    _killed_before_the_ref_moved(refs, monkeypatch, C)
    assert refs.read("head") == A
    assert [entry.reason for entry in refs.reflog("head")] == ["first"]
    refs.update("head", B, A, "second", "")
    refs.update("head", A, B, "back", "")
    assert [entry.reason for entry in refs.reflog("head")] == ["back", "second", "first"]


def test_a_torn_line_spoils_no_other(refs: RefStore, tmp_path: Path) -> None:
    refs.update("head", A, None, "first", "")
    with open(tmp_path / "refs" / "head.log", "ab") as file:
        file.write(b"a0a0a0 torn")
    refs.update("head", B, A, "second", "")
    refs.update("head", C, B, "third", "")
    log = tmp_path / "refs" / "head.log"
    assert [entry.reason for entry in refs.reflog("head")] == ["third", "second", "first"]
    assert refs.unreadable_lines("head") == [], "what was begun and never whole is gone"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff" + lines[1][1:]
    log.write_bytes(b"".join(lines))
    assert [entry.reason for entry in refs.reflog("head")] == ["third", "first"]


@pytest.mark.parametrize("tail", [b"\0" * 150, b"a0" * 5000, b"\0" * 4096])
def test_the_beginning_of_a_line_is_cut_off(refs: RefStore, tmp_path: Path, tail: bytes) -> None:
    log = tmp_path / "refs" / "head.log"
    refs.update("head", A, None, "first", "")
    good = log.read_bytes()
    log.write_bytes(good + tail)
    refs.update("head", B, A, "second", "")
    assert log.read_bytes().startswith(good)
    assert len(log.read_bytes().splitlines()) == 2
    assert refs.unreadable_lines("head") == []


def test_a_line_that_lacks_its_end_only_is_kept(refs: RefStore, tmp_path: Path) -> None:
    log = tmp_path / "refs" / "head.log"
    refs.update("head", A, None, "first", "")
    log.write_bytes(log.read_bytes()[:-1])
    refs.update("head", B, A, "second", "")
    assert [entry.reason for entry in refs.reflog("head")] == ["second", "first"]


def test_the_log_is_durable_before_the_ref(refs: RefStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(fd: int) -> None:
        steps.append(("flush", os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path)))
        fsync(fd)

    def noted_rename(old: str, new: str) -> None:
        steps.append(("rename", os.path.relpath(new, tmp_path)))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    refs.update("head", A, None, "", "")
    steps = [(step, "refs/temporary" if "tmp-" in path else path) for step, path in steps]
    assert steps[-5:] == [
        ("flush", "refs/head.log"),
        ("flush", "refs"),
        ("flush", "refs/temporary"),
        ("rename", "refs/head"),
        ("flush", "refs"),
    ]


def test_delete(refs: RefStore, tmp_path: Path) -> None:
    refs.update("remotes/o/head", A, None, "", "")
    refs.update("remotes/o/head", B, A, "", "")
    with pytest.raises(MovedError):
        refs.delete("remotes/o/head", A)
    refs.delete("remotes/o/head", B)
    assert refs.read("remotes/o/head") is None
    assert refs.names() == []
    assert list((tmp_path / "refs" / "remotes").iterdir()) == []
    refs.delete("remotes/o/head")
    refs.update("remotes/o/head", A, None, "", "")
    assert len(refs.reflog("remotes/o/head")) == 1


def test_of_many_processes_that_swap_one_wins_each_time(refs: RefStore, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from replican.effects.refs import RefStore\n"
        "from replican.values.errors import MovedError\n"
        "refs, won = RefStore(sys.argv[1]), 0\n"
        "while won < 20:\n"
        "    old = refs.read('head')\n"
        "    new = (int.from_bytes(old or bytes(32), 'big') + 1).to_bytes(32, 'big')\n"
        "    try:\n"
        "        refs.update('head', new, old, 'plus one', 'p')\n"
        "        won += 1\n"
        "    except MovedError:\n"
        "        pass\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert int.from_bytes(refs.read("head") or b"", "big") == 40
    assert len(refs.reflog("head")) == 40
