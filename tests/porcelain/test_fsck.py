"""``replican fsck``."""

import os
from pathlib import Path

import pytest
from replicas import OLD, Replicas

from replican.effects.index import Index
from replican.effects.trash import Trash
from replican.values.ids import blob_id


@pytest.fixture
def here(replicas: Replicas) -> Replicas:
    replicas.clone({"f": "content", "d/g": "2"})
    replicas.write("a/f", "content 2", OLD)
    replicas("b", "sync")
    return replicas


def damage(replicas: Replicas, *words: str) -> list[tuple[str, str]]:
    found = replicas.json("b", "fsck", *words, code=6)
    assert found["ok"] is False
    assert all(set(each) == {"what", "name", "problem"} for each in found["damage"])
    return [(each["what"], each["name"]) for each in found["damage"]]


def loose(replicas: Replicas, id: str) -> Path:
    path = Path(replicas.base / "b/.replican/objects/loose" / id)
    path.chmod(0o600)
    return path


def test_all_is_well(here: Replicas) -> None:
    ended = here("b", "fsck")
    assert (ended.text, ended.err) == ("", "checked 2 checkpoints, 3 trees: all is well\n")
    assert here.json("b", "fsck", "--content") == {
        "ok": True, "checkpoints": 2, "trees": 3, "merges": 0, "unproven": 0, "files": 3, "edited": 0,
        "damage": [], "mended": [],
    }  # fmt: skip
    here("b", "gc")
    here("b", "fsck", "--content")
    (here.base / "c").mkdir()
    here("c", "init")
    here("c", "fsck", "--content")


def test_nothing_is_changed(here: Replicas) -> None:
    def state() -> dict[str, bytes]:
        return {
            os.path.join(above, name): Path(above, name).read_bytes()
            for above, _, files in os.walk(here.base / "b/.replican")
            for name in files
            if not name.endswith(("-shm", "-wal"))
        }

    before = state()
    here("b", "fsck", "--content")
    assert state() == before


@pytest.mark.parametrize("how", [b"", b"garbage", None])
def test_a_damaged_or_missing_object_is_named(here: Replicas, how: bytes | None) -> None:
    tree = here.json("b", "log")[0]["tree"]
    if how is None:
        loose(here, tree).unlink()
    else:
        loose(here, tree).write_bytes(how)
    assert ("object", tree) in damage(here)
    assert tree in here("b", "fsck", code=6).text


def test_an_object_with_the_bytes_of_another(here: Replicas) -> None:
    one, other = here.json("b", "log")[0]["id"], here.json("b", "log")[1]["id"]
    loose(here, one).write_bytes(loose(here, other).read_bytes())
    assert ("object", one) in damage(here)


def test_an_old_checkpoint_that_is_missing(here: Replicas) -> None:
    first = here.json("b", "log")[1]["id"]
    loose(here, first).unlink()
    problem = here.json("b", "fsck", code=6)["damage"][0]
    assert (problem["what"], problem["name"]) == ("object", first)
    assert "is missing" in problem["problem"]
    assert "parent of" in problem["problem"]


def test_a_damaged_pack(here: Replicas) -> None:
    here("b", "gc")
    (pack,) = (here.base / "b/.replican/objects/pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    content[40] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(content)
    assert "object" in {what for what, _ in damage(here)}
    (index,) = (here.base / "b/.replican/objects/pack").glob("*.idx")
    index.chmod(0o600)
    index.write_bytes(b"nothing")
    assert "object" in {what for what, _ in damage(here)}


def test_refs_and_reflogs(here: Replicas) -> None:
    head = here.base / "b/.replican/refs/head"
    value = head.read_bytes()
    head.write_bytes(b"nonsense")
    found = here.json("b", "fsck", code=6)["damage"]
    assert found[0]["what"] == "ref"
    assert value.decode().strip() in found[0]["problem"], "the reflog's value is told"
    head.unlink()
    assert ("ref", "head") in damage(here)
    head.write_bytes(value)
    here("b", "fsck")
    with (here.base / "b/.replican/refs/head.log").open("ab") as log:
        log.write(b"what is this\n")
    assert damage(here) == [("reflog", "head")]


def test_a_ref_to_nothing(here: Replicas) -> None:
    (here.base / "b/.replican/refs/head").write_bytes(b"0123456789abcdef" * 4 + b"\n")
    assert ("object", "0123456789abcdef" * 4) in damage(here)


def test_the_index(here: Replicas) -> None:
    path = here.base / "b/.replican/index.db"
    content = bytearray(path.read_bytes())
    content[5000:9000] = os.urandom(4000)
    path.write_bytes(content)
    assert ("index", "index.db") in damage(here)
    here("b", "commit")
    here("b", "fsck", "--content")


def test_the_config(here: Replicas) -> None:
    path = here.base / "b/.replican/config.toml"
    path.write_text(path.read_text().replace("[remotes", "[trash]\nexpiry_days = 'soon'\n[remotes"))
    assert damage(here) == [("config", "config.toml")]


def test_rot_is_told_from_an_edit(here: Replicas) -> None:
    here("b", "commit")
    here.write("b/f", "edited", OLD)
    done = here.json("b", "fsck", "--content")
    assert (done["ok"], done["edited"]) == (True, 1)
    os.unlink(here.base / "b/d/g")
    assert here.json("b", "fsck", "--content")["edited"] == 2


def test_a_file_whose_content_changed_though_its_times_did_not(here: Replicas) -> None:
    """As far as can be done from here: the index is made to have the times that the changed file has."""
    from replican.effects.index_records import DirRecord
    from replican.values.listing import encode_listing

    here.write("b/f", "CONTENT 2", OLD)
    status = (here.base / "b/f").stat()
    with Index.open(str(here.base / "b/.replican/index.db"), writable=True) as index:
        record = index.record(b"")
        assert record is not None
        rows = [
            row._replace(disk_mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, ino=status.st_ino)
            if row.name == b"f"
            else row
            for row in record.rows
        ]
        index.rebase([DirRecord(b"", record.tree, None, record.ino, False, encode_listing(rows))], [], record.tree)
    assert damage(here, "--content") == [("file", "f")]
    here("b", "fsck")


def test_the_trash(here: Replicas) -> None:
    name = blob_id(b"content").hex()
    path = here.base / "b/.replican/trash" / name
    rewrite(path, b"CONTENT")
    with Index.open(str(here.base / "b/.replican/index.db"), writable=True) as index:
        (item,) = index.trash()
        index.add_trash([item._replace(ctime_ns=path.stat().st_ctime_ns)])  # as of a disk that has lost some bits
    assert damage(here, "--content") == [("trash", name)]
    path.write_bytes(b"somebody went on writing")
    assert here.json("b", "fsck", "--content")["edited"] == 1


def rewrite(path: Path, content: bytes) -> None:
    """As many other bytes, and the time as it was: only the ctime tells."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_another_link_of_a_file_in_the_trash_was_used_for_comes_back(here: Replicas) -> None:
    trashed = here.base / "b/.replican/trash" / blob_id(b"content").hex()
    os.link(trashed, here.base / "link")
    assert here.json("b", "fsck", "--content")["edited"] == 0, "a link more changes the ctime, and no content"
    rewrite(here.base / "link", b"CONTENT")
    assert here.json("b", "fsck", "--content")["edited"] == 1
    assert "both versions are kept" in here("b", "gc").err
    (copy,) = here.json("b", "conflicts")
    assert {here.read(f"b/{copy['path']}"), here.read(f"b/{copy['copy']}")} == {"content 2", "CONTENT"}
    assert not trashed.exists()
    here("b", "fsck", "--content")


def test_what_changed_but_for_its_content_stays_in_the_trash_and_is_known_again(here: Replicas) -> None:
    trashed = here.base / "b/.replican/trash" / blob_id(b"content").hex()
    os.link(trashed, here.base / "link")
    with Index.open(str(here.base / "b/.replican/index.db")) as index, Trash(str(trashed.parent)) as trash:
        assert trash.changed(index.trash()) == index.trash()
    assert here("b", "gc").err.count("versions") == 0
    with Index.open(str(here.base / "b/.replican/index.db")) as index, Trash(str(trashed.parent)) as trash:
        assert len(index.trash()) == 1
        assert trash.changed(index.trash()) == [], "it was read, and is not read for that again"


def test_a_damaged_list_of_the_trash_is_rebuilt_with_the_index(here: Replicas) -> None:
    import sqlite3

    index = sqlite3.connect(here.base / "b/.replican/index.db")
    index.execute("UPDATE trash SET size = size + 1")
    index.commit()
    index.close()
    here("b", "fsck", "--content", code=6)
    assert "rebuilding" in here("b", "commit").err
    here("b", "fsck", "--content")
    here("b", "sync")
