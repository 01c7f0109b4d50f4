"""Blob ids are git's own in a SHA-256 repository."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from replican.values.ids import (
    EMPTY_TREE,
    blob_hasher,
    blob_id,
    checkpoint_id,
    is_hex_id,
    object_hash,
    tree_id,
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("compares with git")
    path = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(path)], check=True, capture_output=True)
    return path


def test_blob_ids_are_those_of_git_on_random_files(repository: Path) -> None:
    rng = random.Random(2)
    sizes = [0, 1, 2, 9, 10, 99, 100, 1000, 65535, 65536, 1 << 20, *(rng.randrange(1 << 14) for _ in range(40))]
    contents = [rng.randbytes(size) for size in sizes] + [b"\0" * 5000, b"a\r\nb\n", b"\xff\xfe", "ä".encode()]
    files = []
    for number, content in enumerate(contents):
        file = repository / f"file {number}"
        file.write_bytes(content)
        files.append(file.name)
    answer = subprocess.run(
        ["git", "hash-object", "--no-filters", "--stdin-paths"],
        cwd=repository,
        input="\n".join(files).encode(),
        capture_output=True,
        check=True,
    )
    assert answer.stdout.decode().split() == [blob_id(content).hex() for content in contents]


def test_a_hasher_fed_in_pieces_gives_the_same_id() -> None:
    content = random.Random(3).randbytes(100_000)
    hasher = blob_hasher(len(content))
    for at in range(0, len(content), 777):
        hasher.update(content[at : at + 777])
    assert hasher.digest() == blob_id(content)


def test_the_framing_is_gits_for_every_kind(repository: Path) -> None:
    commit = b"tree " + b"0" * 64 + b"\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\nhello\n"
    answer = subprocess.run(
        ["git", "hash-object", "-t", "commit", "--stdin"], cwd=repository, input=commit, capture_output=True, check=True
    )
    assert answer.stdout.decode().strip() == checkpoint_id(commit).hex()
    answer = subprocess.run(
        ["git", "hash-object", "-t", "tree", "--stdin"], cwd=repository, input=b"", capture_output=True, check=True
    )
    assert answer.stdout.decode().strip() == EMPTY_TREE.hex() == tree_id(b"").hex()


def test_the_kind_is_part_of_the_id() -> None:
    assert len({object_hash(kind, b"x") for kind in (b"blob", b"tree", b"commit")}) == 3


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("0" * 64, True),
        ("0123456789abcdef" * 4, True),
        ("A" * 64, False),
        ("0" * 63, False),
        ("0" * 65, False),
        ("0" * 64 + "\n", False),
        ("٠" * 64, False),
        ("", False),
    ],
)
def test_a_whole_id_in_hex(text: str, is_id: bool) -> None:
    assert is_hex_id(text) is is_id
