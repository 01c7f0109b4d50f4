"""Every file below `.replican`, damaged in every way: a clear error, or a rebuild that says so; never wrong data.

What `fsck` does not find must make no difference: then all is as with a sound replica. What it finds, `fsck --repair`
mends, or tells that it could not. All of it by ``REPLICAN_TORTURE``, a sample of it otherwise.
"""

import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from folders import assert_equal, contents, snapshot, write
from forging import file, framed, hash_of
from replicas import OLD, Replicas
from tailed import tailed
from xxhash import xxh3_128_digest

from replican.effects.block_cache import BlockCache
from replican.effects.index import Index
from replican.values.blocks import list_blocks
from replican.values.ids import blob_id

TORTURE = bool(int(os.environ.get("REPLICAN_TORTURE", "0")))
DOCUMENTED = {0, 1, 3, 4, 5, 6, 7}
READING: list[tuple[str, ...]] = [
    ("log", "--json"),
    ("ls-tree", "-r", "HEAD"),
    ("cat-object", "-p", "HEAD"),
    ("rev-list", "HEAD"),
    ("show", "HEAD^1"),
    ("merge-base", "HEAD", "origin/head"),
]
LOOKING: list[tuple[str, ...]] = [
    ("status", "--json"),
    ("diff",),
    ("conflicts", "--json"),
    ("ls-files",),
    ("reflog",),
    ("why", "edited"),
    ("undo", "--dry-run"),
    ("restore", "--to", "../restored"),
    ("remote", "list"),
]


def flipped(share: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[min(int(len(content) * share), len(content) - 1)] ^= 0x20
        put(path, bytes(content))

    return change


def put(path: Path, content: bytes) -> None:
    """As a disk changes it: with the times that it had."""
    status = path.stat()
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(status.st_mode & 0o777)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def swapped(path: Path) -> None:
    """The content of another file of its kind, or of any other."""
    others = [each for each in sorted(path.parent.iterdir()) if each.is_file() and each != path]
    others += [path.parents[1] / "config.toml"] if not others else []
    alike = [each for each in others if each.suffix == path.suffix] or others
    put(path, alike[0].read_bytes() if alike else b"swapped")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped at its beginning": flipped(0),
    "flipped early": flipped(0.2),
    "flipped in the middle": flipped(0.5),
    "flipped late": flipped(0.9),
    "flipped at its end": flipped(1),
    "truncated": lambda path: put(path, path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: put(path, b""),
    "swapped": swapped,
    "deleted": Path.unlink,
    "a directory": replaced(lambda path: write(path / "in the way", "x")),
    "a link": replaced(lambda path: path.symlink_to("/dev/null")),
}
FILES = [
    "index.db",
    "blocks.db",
    "refs/head",
    "refs/head.log",
    "refs/remotes/origin/head",
    "refs/remotes/origin/head.log",
    "objects/pack/*.pack",
    "objects/pack/*.idx",
    "objects/pack/*.times",
    "objects/loose/*",
    "trash/*",
    "stage/*",
    "lock",
    "refs/.lock",
    "watch.lock",
    "log/watch.log",
]
# What is longer or shorter in the trash than it was, a program has written to that still held it open: it comes back.
LIKE_WRITES = {("trash/*", "truncated"), ("trash/*", "emptied"), ("trash/*", "swapped")}
CASES = [(file, damage) for file in FILES for damage in DAMAGES if (file, damage) not in LIKE_WRITES]
STEP = 1 if TORTURE else 5


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        build(Replicas(base, patch))
    return base


def build(run: Replicas) -> None:
    """Two replicas with packs and loose objects, trash, a file left on the stage, and edits not yet recorded."""
    run.clone({"edited": "1", "d/e/deep": "2", "d/gone": "3", "both": "4", "stays": "5"})
    run.write("a/edited", "by a", OLD)
    (run.base / "a/d/gone").unlink()
    run("b", "sync")
    nobodys = file(b"x", b"of a checkpoint that never came")
    path = run.base / f"b/.replican/objects/loose/{hash_of(b'tree', nobodys).hex()}"
    path.write_bytes(zlib.compress(framed(b"tree", nobodys)))
    run("b", "gc")  # two packs: one that is kept, one that is too young to go
    run.write("b/more", "6", OLD)
    run("b", "sync")
    run.write("a/both", "both, by a", OLD)
    run.write("b/both", "both, by b", OLD + 1)
    run.write("b/new", "not recorded", OLD)
    run.write("b/.replican/stage/" + "ab" * 32, "left by a kill")
    run.write("b/.replican/watch.lock", "")
    run.write("b/.replican/log/watch.log", "what a watch had to say\n")
    with BlockCache(str(run.base / "b/.replican/blocks.db")) as cache:
        cache.put(blob_id(b"5"), list_blocks([(1, xxh3_128_digest(b"5"))]))


Answers = dict[tuple[str, ...], bytes]


@pytest.fixture(scope="module")
def kept_tailed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, recorded last as by a watch: with a tail."""
    base = tmp_path_factory.mktemp("tailed")
    with pytest.MonkeyPatch.context() as patch:
        build(run := Replicas(base, patch))
        run.write("b/watched", "7", OLD)
        with tailed():
            run("b", "sync")
    return base


@pytest.fixture
def damaged(kept: Path, sound: tuple[Answers, set[bytes]], replicas: Replicas) -> Callable[[str, str], Answers]:
    """Damages one file of a new pair of replicas; what a sound one would answer."""

    def make(file: str, damage: str) -> Answers:
        answers = sound[0]
        if file.startswith("trash"):
            # What is in the trash is known by its inode: in a copy, it would be another.
            for name in ("a", "b"):
                shutil.rmtree(replicas.base / name, ignore_errors=True)
            build(replicas)
            answers = ask(replicas)
        else:
            restore(kept, replicas)
        path = max((replicas.base / "b/.replican").glob(file))
        DAMAGES[damage](path)
        if file.startswith("trash"):
            unchanged(replicas.base / "b", path)
        return answers

    return make


def unchanged(root: Path, path: Path) -> None:
    """Of what a disk has lost the ctime does not tell: that of a file in the trash is made the noted one."""
    with Index.open(str(root / ".replican/index.db"), writable=True) as index:
        items = [item for item in index.trash() if item.file == os.fsencode(path.name) and path.exists()]
        index.add_trash([item._replace(ctime_ns=path.stat().st_ctime_ns) for item in items])


def ask(run: Replicas) -> Answers:
    return {words: run("b", *words).out for words in READING}


def restore(kept: Path, replicas: Replicas) -> None:
    for name in ("a", "b"):
        shutil.rmtree(replicas.base / name, ignore_errors=True)
        shutil.copytree(kept / name, replicas.base / name, symlinks=True)
    # The remote is where this copy's is, and the times are what the index knows as far as a copy can have them.
    config = replicas.base / "b/.replican/config.toml"
    config.write_text(config.read_text().replace(str(kept), str(replicas.base)))
    (replicas.base / "home").mkdir(exist_ok=True)


def held(base: Path) -> Counter[bytes]:
    """The contents in both folders."""
    return Counter({content for name in ("a", "b") for content in contents(base / name).values()})


def in_trash(base: Path) -> set[bytes]:
    places = [base / name / ".replican/trash" for name in ("a", "b")]
    return {path.read_bytes() for place in places if place.is_dir() for path in place.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def sound(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answers, set[bytes]]:
    """What a sound replica answers, and what both folders hold after a sync."""
    with pytest.MonkeyPatch.context() as patch:
        run = Replicas(tmp_path_factory.mktemp("sound"), patch)
        restore(kept, run)
        answers = ask(run)
        run("b", "fsck", "--content")
        run("b", "sync")
        return answers, set(held(run.base))


def look(run: Replicas, answers: Answers, codes: Collection[int] = ()) -> None:
    before = snapshot(run.base / "a"), snapshot(run.base / "b")
    for words in (*READING, *LOOKING):
        ended = run("b", *words, code=None)
        assert ended.code in {*DOCUMENTED, *codes}, (words, ended)
        if ended.code >= 2:
            assert ended.err.strip(), words
        if words in answers and ended.code == 0:
            assert ended.out == answers[words], f"wrong data: {words}"
    assert (snapshot(run.base / "a"), snapshot(run.base / "b")) == before


def write_all(run: Replicas) -> int:
    """Commit and sync: nothing that a user wrote is gone."""
    before = set(held(run.base))
    assert run("b", "commit", code=None).code in DOCUMENTED
    ended = run("b", "sync", code=None)
    assert ended.code in DOCUMENTED
    lost = before - set(held(run.base)) - in_trash(run.base)
    assert not lost, ended
    if ended.code == 0:
        assert_equal(run.base / "a", run.base / "b")
    return ended.code


@pytest.mark.parametrize(("file", "damage"), CASES[::STEP])
def test_damage(
    damaged: Callable[[str, str], Answers],
    sound: tuple[Answers, set[bytes]],
    replicas: Replicas,
    file: str,
    damage: str,
) -> None:
    check_damage(replicas, lambda: damaged(file, damage), sound[1])


TAILED = ["tail", "refs/head", "refs/head.log", "index.db", "objects/pack/*.pack"]


@pytest.mark.parametrize(("file", "damage"), [(file, damage) for file in TAILED for damage in DAMAGES][::STEP])
def test_damage_beside_a_tail(
    kept_tailed: Path, replicas: Replicas, file: str, damage: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    restore(kept_tailed, replicas)
    assert (replicas.base / "b/.replican/tail").stat().st_size
    answers = ask(replicas)
    replicas("b", "fsck", "--content")
    replicas("b", "sync")
    merged = set(held(replicas.base))

    def make() -> Answers:
        restore(kept_tailed, replicas)
        DAMAGES[damage](max((replicas.base / "b/.replican").glob(file)))
        return answers

    check_damage(replicas, make, merged)


def check_damage(run: Replicas, make: Callable[[], Answers], merged: set[bytes]) -> None:
    """What ``make`` has damaged, twice, does no harm that is not told; it says what sound replicas answer."""
    look(run, make())
    before = snapshot(run.base / "b")
    found = run("b", "fsck", "--content", code=None)
    assert found.code in (0, 6), found
    code = write_all(run)
    if found.code == 0:
        assert code == 0
        assert set(held(run.base)) == merged, "fsck found nothing, and yet something is different"
        return
    answers = make()
    mended = run("b", "fsck", "--content", "--repair", code=None)
    assert mended.code in (0, 6), mended
    assert snapshot(run.base / "b") == before
    if mended.code == 0:
        run("b", "fsck", "--content")
        look(run, answers)
        assert write_all(run) == 0
        assert set(held(run.base)) >= merged
    else:
        assert mended.text, "what could not be mended is told"


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_settings(damaged: Callable[[str, str], Answers], replicas: Replicas, damage: str) -> None:
    """A text that its user may edit, so not all damage can be told; but none does harm."""
    run = replicas
    look(run, damaged("config.toml", damage), {2, 8})
    before = held(run.base)
    run("b", "fsck", "--repair", code=None)
    run("b", "commit", code=None)
    run("b", "sync", code=None)
    assert set(before) <= set(held(run.base))


def test_settings_that_are_gone(damaged: Callable[[str, str], Answers], replicas: Replicas) -> None:
    damaged("config.toml", "deleted")
    refused = replicas("b/d", "status", code=6)
    assert "has no config.toml" in refused.err
    assert "replican init" in refused.err
    replicas("b", "init")
    replicas("b", "remote", "add", "origin", str(replicas.base / "a"))
    replicas("b", "sync")
    assert_equal(replicas.base / "a", replicas.base / "b")
