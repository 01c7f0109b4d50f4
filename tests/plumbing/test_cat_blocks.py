import os
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from replican.effects.block_cache import BlockCache
from replican.values.ids import blob_id

CONTENT = b"".join(blob_id(b"%d" % number) for number in range(50_000))


@pytest.fixture
def folder(cli, tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "large").write_bytes(CONTENT)
    (folder / "small").write_bytes(b"small")
    cli("init", cwd=folder)
    cli("commit", cwd=folder)
    return folder


def assert_blocks(lines: list[str], content: bytes) -> None:
    end = 0
    for line in lines:
        offset, length, hash = line.split(" ")
        assert int(offset) == end
        end += int(length)
        assert hash == xxh3_128_hexdigest(content[int(offset) : end])
    assert end == len(content)


def test_a_file_needs_no_repository(cli, tmp_path: Path) -> None:
    for name, content in {"large": CONTENT, "small": b"small", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
        assert_blocks(cli("cat-blocks", name).lines, content)
    (tmp_path / "link").symlink_to("large")
    assert cli("cat-blocks", "link").out == cli("cat-blocks", "large").out
    assert len(cli("cat-blocks", "large").lines) > 10
    assert not (tmp_path / ".replican").exists()


def test_the_same_by_its_id(cli, folder: Path) -> None:
    expected = cli("cat-blocks", "large", cwd=folder).out
    for name in (blob_id(CONTENT).hex(), blob_id(CONTENT).hex()[:10], "HEAD:large"):
        assert cli("cat-blocks", name, cwd=folder).out == expected
    with BlockCache(str(folder / ".replican/blocks.db")) as cache:
        assert cache.blobs() == {blob_id(CONTENT)}
    # known from then on, whatever becomes of the content
    (folder / "large").unlink()
    assert cli("cat-blocks", "HEAD:large", cwd=folder).out == expected
    assert_blocks(cli("cat-blocks", "HEAD:small", cwd=folder).lines, b"small")


def test_forms(cli, folder: Path) -> None:
    lines = cli("cat-blocks", "large", cwd=folder).lines
    assert cli("cat-blocks", "-z", "large", cwd=folder).out == "".join(f"{line}\0" for line in lines).encode()
    found = cli("cat-blocks", "--json", "large", cwd=folder).json()
    assert [f"{each['offset']} {each['length']} {each['xxh3_128']}" for each in found] == lines
    assert cli("cat-blocks", "--jsonl", "large", cwd=folder).text.count("\n") == len(lines)
    (folder / "empty").touch()
    assert cli("cat-blocks", "--json", "empty", cwd=folder).json() == []


def test_a_file_comes_before_an_id(cli, folder: Path) -> None:
    (folder / "HEAD:large").write_bytes(b"a file")
    assert_blocks(cli("cat-blocks", "HEAD:large", cwd=folder).lines, b"a file")
    assert cli("cat-blocks", "--", "HEAD:small", cwd=folder, code=1).err.startswith("replican: no such file: ")


@pytest.mark.parametrize("name", ["none", "HEAD:none", "HEAD", "HEAD:", "ab" * 32])
def test_what_is_none(cli, folder: Path, name: str) -> None:
    result = cli("cat-blocks", name, cwd=folder, code=1)
    assert result.out == b""
    assert result.err.startswith("replican: ")


def test_without_a_repository_it_says_that_there_is_no_such_file(cli, tmp_path: Path) -> None:
    assert cli("cat-blocks", "none", code=1).err.startswith("replican: no such file: none\n")


def test_what_is_no_file_is_refused_and_never_waited_for(cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name in ("fifo", "directory"):
        assert "not a regular file" in cli("cat-blocks", name, code=4).err
    assert cli("cat-blocks", code=2).out == b""
