"""``replican status``."""

import os
import shutil
from pathlib import Path

import pytest
from folders import write

from replican.effects.index import Index
from replican.effects.lock import Lock
from replican.values.journal import JournalEntry

pytestmark = pytest.mark.within


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    """A folder in step with its origin."""
    a = tmp_path / "a"
    for name in ("letter", "old", "run", "kind", "moved/1", "moved/2", "gone/1", "gone/2"):
        write(a / name, f"this is {name}")
    (a / "hollow").mkdir()
    cli("clone", "a", "b")
    return tmp_path / "b"


def edit(here: Path) -> None:
    write(here / "letter", "edited")
    (here / "old").unlink()
    (here / "run").chmod(0o755)
    (here / "kind").unlink()
    (here / "kind").symlink_to("letter")
    (here / "moved").rename(here / "elsewhere")
    shutil.rmtree(here / "gone")
    write(here / "new/deep/file", "new")
    (here / "new/empty").mkdir()
    write(here / "odd\nname", "odd")


def test_for_people(cli, here: Path) -> None:
    clean = cli("status", cwd=here)
    assert clean.lines[0].endswith(" 8 added")
    assert clean.lines[1:] == [
        "origin: up to date when last seen",
        "nothing to record: the log has all of the folder",
    ]
    edit(here)
    assert cli("status", cwd=here / "new").lines[3:] == [
        "not recorded yet:",
        "  ('replican commit' records it, 'replican sync' does all at once)",
        "  moved:      moved/ -> elsewhere/",
        "  deleted:    gone/ (2 files)",
        "  type:       kind",
        "  modified:   letter",
        "  added:      new/ (1 file)",
        '  added:      "odd\\nname"',
        "  deleted:    old",
        "  attributes: run",
    ]


def test_for_scripts(cli, here: Path) -> None:
    edit(here)
    expected = {
        (" A", b"elsewhere/1"),
        (" A", b"elsewhere/2"),
        (" A", b"new/deep/file"),
        (" A", b"new/empty"),
        (" A", b"odd\nname"),
        (" D", b"gone/1"),
        (" D", b"gone/2"),
        (" D", b"moved/1"),
        (" D", b"moved/2"),
        (" D", b"old"),
        (" M", b"letter"),
        (" T", b"kind"),
        (" m", b"run"),
    }
    raw = cli("status", "--porcelain=v1", "-z", cwd=here).out
    assert {(line[:2].decode(), line[3:]) for line in raw.split(b"\0")[:-1]} == expected
    assert ' A "odd\\nname"' in cli("status", "--porcelain", "v1", cwd=here).lines
    cli("status", "-z", cwd=here, code=2)
    cli("status", "--porcelain=v2", cwd=here, code=2)


def test_as_json(cli, here: Path) -> None:
    clean = cli("status", "--json", cwd=here).json()
    assert clean["clean"]
    assert clean["changes"] == clean["conflicts"] == clean["pending"] == []
    assert clean["remotes"][0]["state"] == "up to date"
    edit(here)
    with open(os.fsencode(here) + b"/\xff", "wb"):
        pass
    state = cli("status", "--json", cwd=here).json()
    assert not state["clean"]
    assert state["head"] == clean["head"]
    changes = {change["path"]: change for change in state["changes"]}
    assert changes["letter"] == {"path": "letter", "status": "modified", "kind": "file"}
    assert changes["elsewhere/1"] == {"path": "elsewhere/1", "status": "added", "kind": "file", "from": "moved/1"}
    assert changes["new/empty"]["kind"] == "directory"
    assert changes["\udcff"]["path_b64"] == "/w=="


def test_it_writes_nothing(cli, here: Path) -> None:
    edit(here)
    dot = here / ".replican"

    def state() -> dict[str, tuple[int, bytes]]:
        # the database's own scratch files are not content
        files = [path for path in dot.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    first = cli("status", "--json", cwd=here).json()
    assert state() == before
    assert cli("status", "--json", cwd=here).json() == first


def test_before_the_first_checkpoint(cli, tmp_path: Path) -> None:
    write(tmp_path / "a/file", "x")
    cli("init", "a")
    assert cli("-C", "a", "status").lines[0] == "nothing is recorded yet"
    state = cli("-C", "a", "status", "--json").json()
    assert state["head"] is None
    assert [change["path"] for change in state["changes"]] == ["file"]
    assert not state["clean"]


def test_how_the_remote_stands(cli, here: Path, tmp_path: Path) -> None:
    origin = tmp_path / "a"

    def remote() -> tuple[str, int, int]:
        row = cli("status", "--json", cwd=here).json()["remotes"][0]
        return row["state"], row["ahead"], row["behind"]

    write(here / "mine", "x")
    cli("commit", cwd=here)
    assert remote() == ("ahead", 1, 0)
    assert "'replican push origin'" in cli("status", cwd=here).text
    write(origin / "theirs", "y")
    cli("fetch", cwd=here)
    assert remote() == ("diverged", 1, 1)
    cli("merge", cwd=here)
    assert remote() == ("ahead", 1, 0)
    cli("push", cwd=here)
    assert remote() == ("up to date", 0, 0)
    write(origin / "theirs", "z")
    cli("fetch", cwd=here)
    assert remote() == ("behind", 0, 1)


def test_many_changes_are_cut_short(cli, here: Path) -> None:
    for number in range(60):
        write(here / f"many {number}", "x")
    assert cli("status", cwd=here).lines[-1] == "  and 10 more"
    assert len(cli("status", "--all", cwd=here).lines) == len(cli("status", cwd=here).lines) + 9


def test_somebody_at_work_is_not_somebody_who_was_interrupted(cli, here: Path) -> None:
    dotdir = here / ".replican"
    with Index.open(str(dotdir / "index.db"), writable=True) as index:
        index.note_journal([JournalEntry(b"letter", None, None)])
    with Lock(str(dotdir), "sync").acquire():
        assert f"process {os.getpid()} (sync)" in (told := cli("status", cwd=here)).err + told.text
        assert "interrupted" not in told.err + told.text
    assert "interrupted" in (told := cli("status", cwd=here)).err + told.text


def test_an_index_that_is_missing_is_no_folder_that_is_empty(cli, here: Path) -> None:
    for path in (here / ".replican").glob("index.db*"):
        path.unlink()
    write(here / "new", "new")
    seen = cli("status", "--json", cwd=here).json()
    assert [change["path"] for change in seen["changes"]] == ["new"]
    assert seen["pending"] == []
    assert "the index is missing: the next command that writes rebuilds it" in cli("status", cwd=here).err
    cli("commit", cwd=here)
    assert "index" not in cli("status", cwd=here).err
