"""Loose objects: git's form, and nothing that is no object is read as one."""

import os
import zlib
from pathlib import Path

import pytest

from replican.effects.loose import LooseObjects
from replican.values.errors import DamagedError
from replican.values.ids import EMPTY_TREE, object_hash

ID = b"\2" * 32


@pytest.fixture
def loose(tmp_path: Path) -> LooseObjects:
    return LooseObjects(f"{tmp_path}/objects/loose")


def put(loose: LooseObjects, content: bytes, id: bytes = ID) -> None:
    path = Path(loose.path_of(id))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_file_is_what_git_would_write(loose: LooseObjects) -> None:
    payload = b"x" * 1000
    id = object_hash(b"tree", payload)
    loose.add({id: (b"tree", payload), EMPTY_TREE: (b"tree", b"")})
    path = Path(loose.path, id.hex())
    assert zlib.decompress(path.read_bytes()) == b"tree 1000\0" + payload
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(loose.names()) == sorted([id.hex(), EMPTY_TREE.hex()])
    assert loose.read(id) == (b"tree", payload)
    assert loose.read(EMPTY_TREE) == (b"tree", b"")
    assert loose.kind(id) == b"tree"


def test_what_is_not_there(loose: LooseObjects) -> None:
    assert loose.names() == []
    assert loose.read(ID) is None
    assert loose.kind(ID) is None


def test_a_bomb_is_not_inflated(loose: LooseObjects) -> None:
    for head in (b"tree 3\0", b"tree 300000000\0", b"tree 9999999999999\0", b"x" * 100):
        put(loose, zlib.compress(head + b"\0" * (1 << 24)))
        with pytest.raises(DamagedError, match=ID.hex()):
            loose.read(ID)


def test_heads_have_one_form(loose: LooseObjects) -> None:
    payload = b"abc"
    for head in (
        b"tree 03\0",
        b"tree  3\0",
        b"tree +3\0",
        b"tree 2\0",
        b"tree 4\0",
        b"tree 3",
        b"Tree 3\0",
        b"blob 3\0",
    ):
        id = object_hash(b"tree", payload)
        put(loose, zlib.compress(head + payload), id)
        with pytest.raises(DamagedError, match=id.hex()):
            loose.read(id)


def test_bytes_behind_the_stream_are_damage(loose: LooseObjects) -> None:
    payload = b"abc"
    id = object_hash(b"tree", payload)
    put(loose, zlib.compress(b"tree 3\0" + payload) + b"x", id)
    with pytest.raises(DamagedError):
        loose.read(id)


def test_what_is_no_file_is_neither_read_nor_waited_for(loose: LooseObjects) -> None:
    path = Path(loose.path_of(ID))
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    for action in (loose.read, loose.kind):
        with pytest.raises(DamagedError):
            action(ID)
