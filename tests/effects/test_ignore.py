"""Ignore rules: git's meaning, held against git itself, and what they mean for a scan."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scanning import Watched

from replican.effects.ignore import NO_RULES, Rules, read_rules
from replican.effects.index_check import check_index

GIT = shutil.which("git")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


def paths(folder: Watched) -> set[bytes]:
    """What a scan finds; a second look has to find nothing new."""
    seen = folder.record()
    again = folder.scan()
    assert (again.changed, again.gone, again.hashed_files) == ({}, [], 0)
    check_index(folder.index)
    return set(folder.entries(seen))


def rules(text: bytes) -> Rules:
    return NO_RULES.below(b"", text)


# -- git's meaning ----------------------------------------------------------------------------------------------------


def ignored_by_us(ignore_files: dict[str, bytes], path: str, is_directory: bool) -> bool:
    at = NO_RULES.below(b"", ignore_files.get(""))
    parts = path.split("/")
    for depth, part in enumerate(parts[:-1], 1):
        at = at.below(part.encode(), ignore_files.get("/".join(parts[:depth])))
    return at.ignores(parts[-1].encode(), is_directory)


def ignored_by_git(place: Path, ignore_files: dict[str, bytes], tree: dict[str, bool]) -> set[str]:
    shutil.rmtree(place, ignore_errors=True)
    for path, is_directory in tree.items():
        where = place / path
        (where if is_directory else where.parent).mkdir(parents=True, exist_ok=True)
        if not is_directory:
            where.write_bytes(b"")
    for directory, text in ignore_files.items():
        (place / directory / ".gitignore").write_bytes(text)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([str(GIT), "init", "-q", "."], cwd=place, check=True, env=environment)
    done = subprocess.run(
        [str(GIT), "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=place, input=b"\0".join(path.encode() for path in tree), capture_output=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return {path.decode() for path in done.stdout.split(b"\0") if path}


TREE = {
    "a": True, "a/b": True, "a/b/c": True, "a/b/c/x.o": False, "a/b/x.o": False, "a/x.o": False, "a/x.txt": False,
    "x.o": False, "x.txt": False, "build": True, "build/out": False, "a/build": False, "docs": True, "docs/a": True,
    "docs/a/x.txt": False, "#hash": False, "!bang": False, "sp ace": False, "[x]": False, "b": True, "b/keep": False,
}  # fmt: skip

TABLE = [
    b"*.o\n", b"/x.o\n", b"a/x.o\n", b"build/\n", b"build\n", b"*.o\n!x.o\n", b"a/**\n", b"a/**/x.o\n", b"**/x.o\n",
    b"a/*\n!a/b\n", b"/*\n!/a\n", b"\\#hash\n\\!bang\n", b"#hash\n", b"sp\\ ace\n", b"x.o  \n", b"\\[x\\]\n", b"[x]\n",
    b"x.?\n", b"[!x].*\n", b"[a-b]\n", b"*\n", b"*\n!*/\n!x.txt\n", b"a/\n!a/b/\n", b"/\n", b"!\n", b"[\n",
    b"docs/a/\n",
    b"\xef\xbb\xbf*.o\n", b"a\r\n", b"*.o\n\n# text\n\nbuild/", b"b/*\n!b/keep\n", b"/a/b/c/x.o\n", b"c/\n", b"b/c\n",
    b"\\\n", b"x\\.o\n", b"a/**/c\n", b"**\n", b"**/\n", b"a**o\n",
]  # fmt: skip


@pytest.mark.skipif(GIT is None, reason="git is not installed")
@pytest.mark.parametrize("text", TABLE)
def test_a_table_of_rules_means_what_it_means_to_git(tmp_path: Path, text: bytes) -> None:
    files = {"": text}
    expected = ignored_by_git(tmp_path / "git", files, TREE)
    assert {path for path, is_directory in TREE.items() if ignored_by_us(files, path, is_directory)} == expected


@pytest.mark.skipif(GIT is None, reason="git is not installed")
@settings(
    max_examples=(settings.default or settings()).max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 1 << 32))
@example(0)
def test_files_of_rules_in_several_directories(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    words = ["x.o", "*.o", "*.txt", "a", "b", "c", "build", "*", "a/b", "**/c", "b/**", "docs", "x.*", "keep"]

    def text() -> bytes:
        lines = []
        for _ in range(chance.randrange(1, 5)):
            line = chance.choice(words)
            line = ("!" if chance.random() < 0.3 else "") + ("/" if chance.random() < 0.2 else "") + line
            lines.append(line + ("/" if chance.random() < 0.2 else ""))
        return "\n".join(lines).encode() + b"\n"

    files = {directory: text() for directory in ("", "a", "a/b", "docs") if chance.random() < 0.6}
    expected = ignored_by_git(tmp_path / "git", files, TREE)
    assert {path for path, is_directory in TREE.items() if ignored_by_us(files, path, is_directory)} == expected


def test_without_rules_nothing_is_ignored() -> None:
    assert not NO_RULES.ignores(b"x", False)
    assert NO_RULES.below(b"a", None) is NO_RULES
    assert not NO_RULES.fingerprint


def test_fingerprints_tell_rules_apart() -> None:
    one, other = rules(b"*.o\n"), rules(b"*.a\n")
    assert one.fingerprint != other.fingerprint
    assert one.below(b"d", None).fingerprint == one.fingerprint
    assert one.below(b"d", b"x").fingerprint not in (one.fingerprint, rules(b"x").fingerprint)


def test_only_a_regular_file_is_read_for_rules(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read_rules(fd) is None
        (tmp_path / "elsewhere").write_bytes(b"*\n")
        (tmp_path / ".replicanignore").symlink_to("elsewhere")
        assert read_rules(fd) is None
        os.unlink(tmp_path / ".replicanignore")
        os.mkfifo(tmp_path / ".replicanignore")
        assert read_rules(fd) is None
        os.unlink(tmp_path / ".replicanignore")
        (tmp_path / ".replicanignore").write_bytes(b"*.o\n")
        assert read_rules(fd) == b"*.o\n"
    finally:
        os.close(fd)


# -- in a scan --------------------------------------------------------------------------------------------------------


def test_ignored_files_are_left_out_and_the_rules_themselves_are_not(folder: Watched) -> None:
    folder.write(".replicanignore", b"*.o\nbuild/\n")
    folder.write("a/x.o")
    folder.write("a/x.c")
    folder.write("build/x.c")
    folder.write("a/build/x.c")
    assert paths(folder) == {b".replicanignore", b"a", b"a/x.c"}


def test_tracked_files_stay_tracked(folder: Watched) -> None:
    folder.write("x.o", b"1")
    folder.write("build/x", b"1")
    folder.record()
    folder.write(".replicanignore", b"*.o\nbuild/\n")
    folder.write("x.o", b"22")
    folder.write("build/x", b"22")
    folder.write("y.o")
    folder.write("build/y")
    folder.write("build/sub/y")
    seen = folder.record()
    entries = folder.entries(seen)
    assert set(entries) == {b".replicanignore", b"x.o", b"build", b"build/x"}
    assert entries[b"x.o"].id == entries[b"build/x"].id == scanning.blob(b"22")
    os.unlink(folder.path("x.o"))
    assert b"x.o" not in paths(folder)
    folder.write("x.o")
    assert b"x.o" not in paths(folder), "it is untracked now"


def test_rules_that_change_are_asked_again(folder: Watched) -> None:
    folder.write(".replicanignore", b"*.o\nout/\n")
    folder.write("a/b/x.o")
    folder.write("a/b/x.c")
    folder.write("a/out/file")
    folder.write("c/x.o")
    assert paths(folder) == {b".replicanignore", b"a", b"a/b", b"a/b/x.c"}
    folder.write(".replicanignore", b"*.c\n")
    expected = {b".replicanignore", b"a", b"a/b", b"a/b/x.c", b"a/b/x.o", b"a/out", b"a/out/file", b"c", b"c/x.o"}
    assert paths(folder) == expected
    os.unlink(folder.path(".replicanignore"))
    folder.write("c/y.c")
    assert paths(folder) == expected - {b".replicanignore"} | {b"c/y.c"}


def test_directories_that_hold_only_ignored_things_are_not_recorded(folder: Watched) -> None:
    folder.write(".replicanignore", b"*.o\n")
    folder.write("only/deep/x.o")
    os.mkdir(folder.path("empty"))
    assert paths(folder) == {b".replicanignore", b"empty"}
    folder.write("only/deep/x.c")
    assert paths(folder) == {b".replicanignore", b"empty", b"only", b"only/deep", b"only/deep/x.c"}
    os.unlink(folder.path("only/deep/x.c"))
    assert paths(folder) == {b".replicanignore", b"empty", b"only", b"only/deep"}, "tracked already"


def test_what_goes_on_among_ignored_files_is_not_a_change(folder: Watched) -> None:
    folder.write(".replicanignore", b"*.o\n")
    folder.write("a/x.o")
    folder.write("a/x.c")
    folder.record()
    root = folder.index.base_root()
    folder.write("a/x.o", b"changed")
    folder.write("a/y.o")
    seen = folder.record()
    assert (seen.root, seen.hashed_files) == (root, 0)
    assert not folder.scan().changed


def test_rules_below_a_renamed_directory(folder: Watched) -> None:
    folder.write("a/.replicanignore", b"*.o\n")
    folder.write("a/sub/x.o")
    folder.write("a/sub/x.c")
    folder.record()
    os.rename(folder.path("a"), folder.path("moved"))
    assert paths(folder) == {b"moved", b"moved/.replicanignore", b"moved/sub", b"moved/sub/x.c"}


def test_many_names_are_asked_quickly() -> None:
    at = rules(b"".join(b"*.%d\n/dir%d/\n" % (number, number) for number in range(20)) + b"!x.3\n")
    import time

    before = time.process_time()
    for number in range(20_000):
        at.ignores(b"file%d.txt" % number, False)
    assert time.process_time() - before < 2, "some 20 µs each at most; measured: 8"
