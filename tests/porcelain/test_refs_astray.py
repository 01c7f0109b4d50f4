"""Refs that name what is no checkpoint, or nothing that is there: told by every command, and mended by fsck."""

import shutil
from pathlib import Path

import pytest
from folders import assert_equal, snapshot
from replicas import OLD, Replicas

NOWHERE = "0123456789abcdef" * 4
COMMANDS = [
    "status", "log", "commit", "diff", "show", "conflicts", "gc", "undo", "why f", "sync", "fetch", "merge origin",
    "pull", "push", "restore f", "rev-parse HEAD", "rev-list HEAD", "cat-log", "show-ref", "ls-tree HEAD",
    "write-tree", "merge-base HEAD HEAD", "cat-object -p HEAD", "diff-tree HEAD HEAD", "update-index f",
]  # fmt: skip


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    """``b`` is a clone of ``a``, and both have each other's latest."""
    replicas.clone({"f": "content", "d/g": "2"})
    replicas.write("b/f", "content 2", OLD)
    replicas("b", "sync")
    return replicas


def ref(here: Replicas, name: str = "head") -> Path:
    return Path(here.base / "b/.replican/refs" / name)


def lead_astray(here: Replicas, name: str, to: str) -> str:
    """Have the ref name a tree, or nothing that is there; what it named before."""
    before = ref(here, name).read_text()
    ref(here, name).write_text((here.json("b", "log")[0]["tree"] if to == "tree" else NOWHERE) + "\n")
    return before


@pytest.mark.parametrize("to", ["tree", "nothing"])
def test_every_command_says_so(here: Replicas, to: str) -> None:
    lead_astray(here, "head", to)
    before = snapshot(here.base / "b")
    for words in COMMANDS:
        ended = here("b", *words.split(), code=6)
        assert ended.err.startswith("replican: the ref head names no checkpoint: "), words
        assert ("is a tree" if to == "tree" else f"no object {NOWHERE}") in ended.err
        assert "fsck --repair" in ended.err
    here("b", "fsck", code=6)
    assert snapshot(here.base / "b") == before


@pytest.mark.parametrize("to", ["tree", "nothing"])
def test_of_what_is_known_of_a_remote(here: Replicas, to: str) -> None:
    before = lead_astray(here, "remotes/origin/head", to)
    for words in ("status", "sync", "show-ref", "rev-parse origin/head"):
        assert "the ref remotes/origin/head names no checkpoint" in here("b", *words.split(), code=6).err
    here("b", "fsck", "--repair")
    assert ref(here, "remotes/origin/head").read_text() == before
    here("b", "sync")


@pytest.mark.parametrize("to", ["tree", "nothing"])
def test_over_there_it_is_the_remotes_damage(here: Replicas, to: str) -> None:
    lead_astray(here, "head", to)
    here("a", "remote", "add", "other", "../b")
    assert "is damaged: the ref head names no checkpoint" in here("a", "fetch", "other", code=5).err


@pytest.mark.parametrize("to", ["tree", "nothing"])
@pytest.mark.parametrize("name", ["head", "remotes/origin/head"])
def test_put_back_from_the_reflog(here: Replicas, name: str, to: str) -> None:
    before = lead_astray(here, name, to)
    mended = here.json("b", "fsck", "--repair")["mended"]
    assert [(each["what"], each["name"]) for each in mended] == [("ref", name)]
    assert ref(here, name).read_text() == before


@pytest.mark.parametrize("to", ["tree", "nothing"])
def test_put_back_though_the_reflog_has_it_too(here: Replicas, to: str) -> None:
    before = lead_astray(here, "head", to).strip()
    log = ref(here, "head.log")
    log.write_text(log.read_text() + f"{before} {ref(here).read_text().strip()} somebody 1 +0000\tupdate-ref\n")
    files = snapshot(here.base / "b")
    mended = here.json("b", "fsck", "--repair")["mended"]
    assert [(each["what"], each["name"]) for each in mended] == [("ref", "head")]
    assert ref(here).read_text().strip() == before
    here("b", "gc")
    here("b", "sync")
    assert snapshot(here.base / "b") == files


# -- the newest checkpoint is nowhere any more -------------------------------------------------------------------


def lose(here: Replicas, id: str) -> None:
    for replica in ("a", "b"):
        (here.base / replica / f".replican/objects/loose/{id}").unlink(missing_ok=True)


def test_a_lost_head_is_taken_from_the_remote_first(here: Replicas) -> None:
    head = here.head("b")
    (here.base / f"b/.replican/objects/loose/{head}").unlink()
    here("b", "status", code=6)
    assert here.json("b", "fsck", "--repair")["mended"][0]["name"] == head
    assert here.head("b") == head


def test_what_a_lost_head_had_is_recorded_anew(here: Replicas) -> None:
    """The head goes back to the last one that is whole. Only that would bring the folder back, too."""
    before = here.head("b")
    here.write("b/f", "work", OLD + 1)
    here.write("b/new", "more work", OLD)
    (here.base / "b/d/g").unlink()
    here("b", "commit", "-m", "lost")
    lost = here.head("b")
    lose(here, lost)
    here.write("b/later", "not recorded yet", OLD)
    files = snapshot(here.base / "b")
    done = here.json("b", "fsck", "--repair")
    assert [each["name"] for each in done["mended"]] == ["head", here.head("b")]
    newest, second = here.json("b", "log")[:2]
    assert (second["id"], newest["parents"]) == (before, [before])
    assert lost in newest["message"]
    assert snapshot(here.base / "b") == files
    assert [each["path"] for each in here.json("b", "status")["changes"]] == ["later"]
    here("b", "sync")
    assert snapshot(here.base / "b") == files
    assert_equal(here.base / "a", here.base / "b")
    here("b", "gc")
    here("b", "fsck", "--content")


def test_of_a_path_that_was_pending_both_versions_are_kept(here: Replicas) -> None:
    """What the disk holds of it may be older than the head that is put back, and may be newer."""
    from replican.effects.index import Index
    from replican.values.progress import Problem

    here.write("b/f", "work", OLD + 1)
    here.write("b/new", "more work", OLD)
    here("b", "commit", "-m", "lost")
    lose(here, here.head("b"))
    with Index.open(str(here.base / "b/.replican/index.db"), writable=True) as index:
        index.set_pending([Problem(b"f", "permission denied")])
    here.json("b", "fsck", "--repair")
    here("b", "sync", code=None)
    assert [each["path"] for each in here.json("b", "conflicts")] == ["f"]
    assert here.read("b/f") == "work"
    assert here.read("a/new") == "more work"


def test_with_the_index_lost_as_well(here: Replicas) -> None:
    """Then nobody knows how far the folder was ahead: every version stays."""
    here.write("b/f", "work", OLD + 1)
    here("b", "commit", "-m", "lost")
    lose(here, here.head("b"))
    (here.base / "b/.replican/index.db").unlink()
    here("b", "fsck", "--repair")
    here("b", "sync", code=None)
    assert here.read("b/f") == "work"
    assert here.read("a/f") == "work"


def test_nothing_in_the_reflog_is_to_be_had(here: Replicas) -> None:
    shutil.rmtree(here.base / "a")
    for path in (here.base / "b/.replican/objects/loose").iterdir():
        path.unlink()
    shutil.rmtree(here.base / "b/.replican/objects/pack", ignore_errors=True)
    head = ref(here).read_text()
    files = snapshot(here.base / "b")
    here("b", "fsck", "--repair", code=6)
    assert ref(here).read_text() == head
    assert snapshot(here.base / "b") == files
