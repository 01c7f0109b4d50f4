import os
from pathlib import Path

from in_process import InProcess
from small_repository import SmallRepository

from replican.values.quoting import quote


def see_all(run: InProcess) -> None:
    run("update-index", ".")


def test_nothing_has_changed(run: InProcess, small: SmallRepository) -> None:
    assert run("poll").out == b""
    (small.root / "a").write_text("1")
    see_all(run)
    assert run("poll").out == b""
    assert run("poll", "--json").json() == []


def test_what_has_changed(run: InProcess, small: SmallRepository) -> None:
    for name in ("same", "edited", "gone", "mode"):
        (small.root / name).write_text(name)
    (small.root / "gone-too/below").mkdir(parents=True)
    assert run("poll").lines == ["edited", "gone", "gone-too", "mode", "same"]
    see_all(run)
    (small.root / "edited").write_text("more")
    (small.root / "gone").unlink()
    (small.root / "gone-too/below").rmdir()
    (small.root / "gone-too").rmdir()
    (small.root / "mode").chmod(0o600)
    (small.root / "new/below").mkdir(parents=True)
    (small.root / "link").symlink_to("same")
    assert run("poll").lines == ["edited", "gone", "gone-too", "link", "mode", "new"]
    assert run("poll").lines == run("poll").lines, "nothing is noted"


def test_odd_names(run: InProcess, small: SmallRepository) -> None:
    name = b'new\nline "\xff'
    (small.root / os.fsdecode(name)).write_bytes(b"")
    assert run("poll").line == quote(name)
    assert run("poll", "-z").out == name + b"\0"
    assert set(run("poll", "--json").json()[0]) == {"path", "path_b64"}


def test_no_folder(run: InProcess, tmp_path: Path) -> None:
    run("poll", cwd=tmp_path, code=8)
