import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replican.plumbing._front.context import Context, change_directory, plumbing_path
from replican.values.errors import NoRepositoryError, NotFoundError, UsageError


class Folder:
    """As much of a repository as a context asks for."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.notes = ["the index was rebuilt"]
        self.closed = False

    def close(self) -> None:
        self.closed = True


def context(root: Path, **options: Any) -> Context:
    made = Context(**options)
    folder: Any = Folder(root)
    made._repository = folder
    return made


@pytest.mark.parametrize(
    ("argument", "path"),
    [("a/b", b"a/b"), ("./a//b/", b"a/b"), (b"\xff", b"\xff"), (".", b""), ("a/.replican", b"a/.replican")],
)
def test_plumbing_takes_paths_from_the_root(argument: str | bytes, path: bytes) -> None:
    assert plumbing_path(argument) == path


@pytest.mark.parametrize("argument", ["/a", "..", "a/../b", ".replican/objects", b"a\0b"])
def test_plumbing_refuses_what_is_no_path_below_a_root(argument: str | bytes) -> None:
    with pytest.raises(UsageError):
        plumbing_path(argument)


def test_porcelain_takes_paths_from_where_you_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "folder"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(root / "sub")
    ctx = context(root)
    assert ctx.path("x") == b"sub/x"
    assert ctx.path("../x/") == b"x"
    assert ctx.path("..") == b""
    assert ctx.path(f"{root}/y") == b"y"
    assert ctx.path(f"{tmp_path}/link/y") == b"y"
    for outside in ("../..", "/", f"{root}2/x", "../.replican/refs"):
        with pytest.raises(UsageError):
            ctx.path(outside)


def test_a_link_is_named_and_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("/etc")
    monkeypatch.chdir(tmp_path)
    assert context(tmp_path).path("link") == b"link"


def test_paths_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = Context()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'a\n"b\\nc"\n\n./d/\n')))
    assert list(ctx.stdin_batches()) == [[b"a", b"b\nc", b"d"]]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'a\nb\0"c"\0')))
    assert list(ctx.stdin_batches(nul=True)) == [[b"a\nb", b'"c"']]


def test_results_and_talk_go_apart(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    ctx = Context(jsonl=True)
    ctx.path_line(b"\xff")
    ctx.path_line(b"\xff", nul=True)
    ctx.emit({"a": "\udcff"})
    ctx.emit_all([1, 2])
    ctx.say("talk \x1b")
    ctx.line("end")
    ctx.flush()
    out, err = capfdbinary.readouterr()
    assert out == b'"\\377"\n\xff\0{"a": "\\udcff"}\n1\n2\nend\n'
    assert err == b"talk \\033\n"


def test_lists_in_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    ctx = Context(json=True)
    ctx.emit_all([])
    ctx.emit_all({"n": n} for n in range(2))
    ctx.flush()
    assert capfdbinary.readouterr().out == b'[]\n[\n{"n": 0},\n{"n": 1}\n]\n'


@pytest.mark.parametrize(("before", "shown"), [(0, b""), (1, b'[\n{"n": 0}\n]\n')])
def test_a_list_that_an_error_ends_is_one(before: int, shown: bytes, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    def found() -> Iterator[dict[str, int]]:
        yield from ({"n": number} for number in range(before))
        raise NotFoundError("no such file")

    ctx = Context(json=True)
    with pytest.raises(NotFoundError):
        ctx.emit_all(found())
    ctx.flush()
    assert capfdbinary.readouterr().out == shown


def test_what_a_repository_has_to_tell_is_told_at_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ctx = context(tmp_path)
    folder: Any = ctx.repository()
    ctx.close()
    assert folder.closed
    assert capfd.readouterr().err == "replican: the index was rebuilt\n"
    quiet = context(tmp_path, quiet=True)
    quiet.warn("bad")
    quiet.close()
    assert capfd.readouterr().err == "replican: bad\n"


def test_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoRepositoryError):
        change_directory("missing")
    (tmp_path / "gone").mkdir()
    change_directory("gone")
    os.rmdir(tmp_path / "gone")
    with pytest.raises(NoRepositoryError, match="gone"):
        _ = Context().directory
