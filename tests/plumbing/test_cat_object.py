import os
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.operations import reading
from replican.values.ids import EMPTY_TREE, blob_id, object_hash
from replican.values.quoting import quote


@pytest.fixture
def folder(run: InProcess, small: SmallRepository) -> Path:
    (small.root / "a").write_bytes(b"content\0of a")
    (small.root / "d").mkdir()
    (small.root / "d" / "l").symlink_to("../a")
    (small.root / os.fsdecode(b"odd\n\xff")).write_bytes(b"odd")
    run("commit", "-m", "first")
    return small.root


def test_types_and_sizes(run: InProcess, folder: Path) -> None:
    for name, kind in {"HEAD": "commit", "HEAD^{tree}": "tree", "HEAD:d": "tree", "HEAD:a": "blob"}.items():
        assert run("cat-object", "-t", name).line == kind
    assert run("cat-object", "-s", "HEAD:a").line == "12"
    assert run("cat-object", "-s", "HEAD:a", "--json").json() == {
        "id": blob_id(b"content\0of a").hex(),
        "type": "blob",
        "size": 12,
    }
    assert run("cat-object", "-s", EMPTY_TREE.hex()).line == "0"


def test_in_json_nothing_need_be_asked_for(run: InProcess, folder: Path) -> None:
    for name in ("HEAD", "HEAD:d", "HEAD:a", EMPTY_TREE.hex()):
        assert run("cat-object", "--json", name).json() == run("cat-object", "-t", "--json", name).json()
    assert run("cat-object", "--json", "HEAD:a").json()["type"] == "blob"
    assert run("cat-object", "--json", "HEAD:none", code=1).out == b""


def test_objects_are_printed(run: InProcess, folder: Path) -> None:
    assert run("cat-object", "-p", "HEAD:a").out == b"content\0of a"
    assert run("cat-object", "-p", "HEAD:d/l").out == b"../a"
    assert run("cat-object", "-p", blob_id(b"content\0of a").hex()[:8]).out == b"content\0of a"
    assert run("cat-object", "-p", b"HEAD:odd\n\xff").out == b"odd"
    text = run("cat-object", "-p", "HEAD").text
    assert text.startswith(f"tree {run('rev-parse', 'HEAD^{tree}').line}\nauthor tester ")
    assert text.endswith("\n\nfirst\n")
    assert run("cat-object", "-p", "HEAD^{tree}").out == run("ls-tree", "HEAD").out


def test_a_batch_answers_each_name(run: InProcess, folder: Path) -> None:
    head, tree = run("rev-parse", "HEAD", "HEAD^{tree}").lines
    ended = run("cat-object", "--batch-check", stdin=f"HEAD\n{tree}\nHEAD:a\nnobody\n../x:y\nHEAD:../a".encode())
    blob = blob_id(b"content\0of a").hex()
    sizes = [run("cat-object", "-s", name).line for name in ("HEAD", tree)]
    assert ended.lines == [
        f"{head} commit {sizes[0]}",
        f"{tree} tree {sizes[1]}",
        f"{blob} blob 12",
        "nobody missing",
        "../x:y missing",
        "HEAD:../a missing",
    ]
    assert run("cat-object", "--batch", stdin=b"HEAD:a\nHEAD:x\n").out == (
        f"{blob} blob 12\n".encode() + b"content\0of a\nHEAD:x missing\n"
    )


def test_what_a_batch_prints_has_the_hash_that_it_says(run: InProcess, folder: Path) -> None:
    names = run("rev-list", "--objects", "HEAD").text.replace(" ", "\n").split()
    out = run("cat-object", "--batch", stdin="\n".join(name for name in names if len(name) == 64).encode()).out
    while out:
        head, _, out = out.partition(b"\n")
        id, kind, size = head.split()
        assert object_hash(kind, out[: int(size)]).hex().encode() == id
        assert out[int(size) : int(size) + 1] == b"\n"
        out = out[int(size) + 1 :]


def test_names_in_a_batch_lose_no_byte(run: InProcess, folder: Path) -> None:
    blob = f"{blob_id(b'odd').hex()} blob 3\n"
    name = b"HEAD:odd\n\xff"
    assert run("cat-object", "--batch-check", stdin=quote(name).encode()).text == blob
    assert run("cat-object", "--batch-check", "-z", stdin=name + b"\0" + name + b"x\0").text == (
        blob + quote(name + b"x") + " missing\n"
    )
    found = run("cat-object", "--batch-check", "--jsonl", "-z", stdin=name + b"\0x").lines
    assert len(found) == 2
    assert '"missing": true' in found[1]


def test_a_batch_is_answered_line_by_line(folder: Path, environment: dict[str, str]) -> None:
    program = Path(sys.executable).parent / "replican"
    with subprocess.Popen(
        [program, "cat-object", "--batch-check"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(2):
            process.stdin.write(b"HEAD:a\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(b" blob 12\n")
        process.stdin.close()
        assert process.wait() == 0


def test_content_comes_from_wherever_it_is(run: InProcess, folder: Path, tmp_path: Path) -> None:
    run("clone", folder, tmp_path / "copy", cwd=tmp_path)
    (folder / "a").write_bytes(b"other")
    run("cat-object", "-e", "HEAD:a", code=1)
    assert run("cat-object", "-p", "HEAD:a", cwd=tmp_path / "copy").out == b"content\0of a"
    run("remote", "add", "copy", tmp_path / "copy")
    assert run("cat-object", "-p", "HEAD:a").out == b"content\0of a"
    (tmp_path / "copy" / "a").rename(tmp_path / "copy" / "renamed")
    run("cat-object", "-e", "HEAD:a", code=1)
    run("commit", cwd=tmp_path / "copy")
    assert run("cat-object", "-p", blob_id(b"content\0of a").hex()).out == b"content\0of a"
    (tmp_path / "copy").rename(tmp_path / "moved")
    assert "cannot be reached" in run("cat-object", "-p", "HEAD:a", code=1).err
    trash = folder / ".replican" / "trash"
    trash.mkdir(exist_ok=True)
    (trash / blob_id(b"content\0of a").hex()).write_bytes(b"no")
    (trash / f"{blob_id(b'content' + bytes(1) + b'of a').hex()}-2").write_bytes(b"content\0of a")
    assert run("cat-object", "-p", "HEAD:a").out == b"content\0of a"


def test_another_file_with_that_content_does_as_well(run: InProcess, folder: Path) -> None:
    for name in ("x", "y", "z"):
        (folder / name).write_bytes(b"same")
    run("commit")
    for name in ("x", "y"):
        (folder / name).write_bytes(b"other")
        assert run("cat-object", "-p", blob_id(b"same").hex()).out == b"same"
    (folder / "z").unlink()
    (folder / "z").symlink_to("y")
    run("cat-object", "-p", blob_id(b"same").hex(), code=1)


def test_large_content_is_verified_before_it_is_printed(
    run: InProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "IN_MEMORY", 10)
    assert run("cat-object", "-p", "HEAD:a").out == b"content\0of a"
    assert run("cat-object", "--batch", stdin=b"HEAD:a\nHEAD:a\n").out.count(b"content\0of a\n") == 2
    (folder / "a").write_bytes(b"content\0of b")
    assert run("cat-object", "-p", "HEAD:a", code=1).out == b""


def test_many_blobs_are_looked_up_together(run: InProcess, folder: Path) -> None:
    for number in range(30):
        (folder / f"n{number}").write_text(f"{number}")
    run("commit")
    names = [blob_id(f"{number}".encode()).hex() for number in range(30)]
    assert run("cat-object", "--batch", stdin="\n".join(names).encode()).out.count(b" blob ") == 30


def test_damage_is_told_and_never_printed(run: InProcess, folder: Path) -> None:
    (loose,) = [
        path for path in (folder / ".replican/objects/loose").iterdir() if path.name == run("rev-parse", "HEAD").line
    ]
    loose.chmod(0o600)
    loose.write_bytes(b"?" + loose.read_bytes()[1:])
    ended = run("cat-object", "-p", "HEAD", code=6)
    assert ended.out == b""
    assert loose.name in ended.err
    run("cat-object", "-e", "HEAD", code=6)


def test_existence(run: InProcess, folder: Path) -> None:
    assert run("cat-object", "-e", "HEAD:a").out == b""
    ended = run("cat-object", "-e", "12" * 32, code=1)
    assert (ended.out, ended.err) == (b"", "")
    run("cat-object", "-e", "nobody", code=1)
    run("cat-object", "-p", "12" * 32, code=1)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--json"],
        ["-p"],
        ["HEAD"],
        ["-p", "-t", "HEAD"],
        ["--batch", "HEAD"],
        ["-p", "-z", "HEAD"],
        ["--batch", "--json"],
    ],
)
def test_usage(run: InProcess, words: list[str]) -> None:
    run("cat-object", *words, code=2)


def test_no_repository(run: InProcess, tmp_path: Path) -> None:
    run("cat-object", "-p", "HEAD", cwd=tmp_path, code=8)
