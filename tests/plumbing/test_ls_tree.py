import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import EMPTY_TREE, blob_id
from replican.values.quoting import quote


def line(entry: str, content: bytes, name: str, mtime: int = 0) -> str:
    return f"{entry} blob {blob_id(content).hex()} {len(content)} {mtime}\t{name}"


def test_a_directory_is_listed(run: InProcess, small: SmallRepository) -> None:
    small.user(None, "b=22@5:600 a=1 l>x d/e/f=3")
    assert run("ls-tree", "HEAD").lines == [
        line("f0644", b"1", "a"),
        line("f0600", b"22", "b", 5_000_000_000),
        f"d0755 tree {run('rev-parse', 'HEAD:d').line} 0 0\td",
        line("l0777", b"x", "l"),
    ]
    assert run("ls-tree", "HEAD:d/e").lines == [line("f0644", b"3", "f")]
    assert run("ls-tree", EMPTY_TREE.hex()).out == b""


def test_recursion_lists_files_and_empty_directories(run: InProcess, small: SmallRepository) -> None:
    small.user(None, "d/a=1 d/e/ d/f/b=2 c=3")
    assert run("ls-tree", "-r", "--name-only", "HEAD").lines == ["c", "d/a", "d/e", "d/f/b"]
    assert run("ls-tree", "-rt", "--name-only", "HEAD").lines == ["c", "d", "d/a", "d/e", "d/f", "d/f/b"]
    assert run("ls-tree", "-r", "--name-only", "HEAD:d").lines == ["a", "e", "f/b"]


def test_odd_names(run: InProcess, small: SmallRepository) -> None:
    name = b'new\nline "\xff'
    (small.root / os.fsdecode(name)).write_bytes(b"odd")
    run("commit")
    assert run("ls-tree", "--name-only", "HEAD").line == quote(name)
    assert run("ls-tree", "-z", "--name-only", "HEAD").out == name + b"\0"
    assert run("ls-tree", "-z", "HEAD").out.endswith(b"\t" + name + b"\0")
    assert run("ls-tree", "--format=%(mode) %(path)%x09%%%n", "HEAD").text == f"0644 {quote(name)}\t%\n\n"
    (entry,) = run("ls-tree", "--json", "HEAD").json()
    assert base64.b64decode(entry["path_b64"]) == name
    assert (entry["kind"], entry["mode"], entry["size"], entry["id"]) == ("file", "0644", 3, blob_id(b"odd").hex())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nobody"], 1),
        (["HEAD:a"], 1),
        ([], 2),
        (["--format=%(nothing)", "HEAD"], 2),
        (["--json", "--name-only", "HEAD"], 2),
    ],
)
def test_what_is_wrong(run: InProcess, small: SmallRepository, words: list[str], code: int) -> None:
    small.user(None, "a=1")
    assert run("ls-tree", *words, code=code).out == b""


def test_a_reader_that_goes_away_is_not_an_error(small: SmallRepository, environment: dict[str, str]) -> None:
    small.user(None, " ".join(f"file{number}=1" for number in range(5000)))
    program = Path(sys.executable).parent / "replican"
    with subprocess.Popen(
        [program, "ls-tree", "HEAD"], cwd=small.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
