"""``replican conflicts``."""

import os

from replicas import OLD, Replicas

from replican.values.ids import blob_id


def test_none(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    assert replicas("b", "conflicts").text == ""
    assert replicas.json("b", "conflicts") == []
    replicas("b", "conflicts", "--exit-code", code=0)


def test_each_copy_is_listed(replicas: Replicas) -> None:
    replicas.clone({"d/f.txt": "1"})
    copy = replicas.conflict("d/f.txt")
    assert replicas("b", "conflicts").text == f"d/f.txt\td/{copy}\n"
    assert replicas("b", "conflicts", "-z").out == f"d/f.txt\0d/{copy}\0".encode()
    assert replicas.json("b", "conflicts") == [
        {
            "path": "d/f.txt",
            "copy": f"d/{copy}",
            "current_id": blob_id(b"by b").hex(),
            "copy_id": blob_id(b"by a").hex(),
            "time_ns": OLD + 10**9,
        }
    ]
    assert replicas.json("a", "conflicts") == replicas.json("b", "conflicts")
    replicas("b", "conflicts", "--exit-code", code=1)


def test_settled_by_hand_counts_before_it_is_recorded(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    copy = replicas.conflict("f")
    os.unlink(replicas.base / "b" / copy)
    assert replicas.json("b", "conflicts") == []
    assert len(replicas.json("a", "conflicts")) == 1
    replicas("b", "sync")
    assert replicas.json("a", "conflicts") == []


def test_a_directory_has_the_name(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/x", "a file")
    replicas.write("b/x/inner", "in a directory")
    replicas("b", "sync")
    (conflict,) = replicas.json("b", "conflicts")
    assert conflict["path"] == "x"
    assert replicas.read(f"b/{conflict['copy']}") == "a file"


def test_odd_names(replicas: Replicas) -> None:
    replicas.clone({"new\nline": "1"})
    copy = replicas.conflict("new\nline")
    assert replicas("b", "conflicts").text.startswith('"new\\nline"\t"new\\nline.conflict-')
    assert replicas.json("b", "conflicts")[0]["copy"] == copy
