import base64
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from replican.plumbing.hash_object import hash_file
from replican.values.errors import FolderError, NotFoundError
from replican.values.ids import blob_id
from replican.values.quoting import quote


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_ids_are_those_of_git_in_a_sha256_repository(cli, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--object-format=sha256", tmp_path / "repo"], check=True)
    rng = random.Random(1)
    names = []
    for size in (0, 1, 100, 4096, 70_000, 3 << 20):
        names.append(f"file{size}")
        (tmp_path / names[-1]).write_bytes(rng.randbytes(size))
    full = [str(tmp_path / name) for name in names]
    theirs = subprocess.run(
        ["git", "-C", tmp_path / "repo", "hash-object", *full], capture_output=True, text=True, check=True
    )
    assert cli("hash-object", *names).text == theirs.stdout


def test_stdin_comes_before_files(cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    assert cli("hash-object", "--stdin", "a", stdin=b"x").lines == [blob_id(b"x").hex(), blob_id(b"a").hex()]


def test_names_from_stdin_are_unquoted_unless_they_end_in_nul(cli, tmp_path: Path) -> None:
    name = b'new\nline "\xff'
    (tmp_path / os.fsdecode(name)).write_bytes(b"odd")
    (tmp_path / "plain").write_bytes(b"plain")
    expected = [blob_id(b"odd").hex(), blob_id(b"plain").hex()]
    assert cli("hash-object", "--stdin-paths", stdin=quote(name).encode() + b"\nplain\n").lines == expected
    assert cli("hash-object", "--stdin-paths", "-z", stdin=name + b"\0plain").lines == expected


def test_json_loses_no_byte_of_a_name(cli, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    (one,) = cli("hash-object", "--json", b"\xff").json()
    assert one == {"path": "\udcff", "path_b64": base64.b64encode(b"\xff").decode(), "id": blob_id(b"").hex()}
    assert cli("hash-object", "--jsonl", "--stdin").json() == {"id": blob_id(b"").hex()}


def test_links_stand_for_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert hash_file(os.fsencode(tmp_path / "link")) == blob_id(b"content")


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ""):
        with pytest.raises(FolderError, match="not a regular file"):
            hash_file(os.fsencode(tmp_path / name))
    with pytest.raises(NotFoundError):
        hash_file(os.fsencode(tmp_path / "none"))


def test_what_came_before_an_error_is_printed(cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    result = cli("hash-object", "a", "none", code=1)
    assert result.lines == [blob_id(b"a").hex()]
    assert result.err == "replican: no such file: none\n"


@pytest.mark.parametrize("words", [[], ["--stdin-paths", "x"], ["--stdin", "-z"]])
def test_wrong_use(cli, words: list[str]) -> None:
    result = cli("hash-object", *words, code=2)
    assert result.err.startswith("replican: ")
    assert result.out == b""


def test_an_unreadable_file(cli, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert cli("hash-object", "loop", code=4).err.startswith("replican: cannot read loop: ")
