"""A peer that means harm, in the format: each evil is refused, and nothing comes of it but words."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import assert_equal, snapshot, write
from forging import EMPTY_TREE, Forger, directory, entry, file, hash_of, link, merge, pack, user
from in_process import InProcess
from memory import peak

COMMANDS = (["fetch"], ["pull"], ["sync"])
Evil = Callable[[Forger], object]


def told(root: Path) -> dict[str, bytes]:
    """All that a refusal must not change below ``.replican``: the log. What is noted of the disk may be."""
    dot = root / ".replican"
    found = {}
    for top, _, names in os.walk(dot):
        for name in names:
            path = Path(top, name)
            shown = str(path.relative_to(dot))
            if shown.split("/")[0] in ("objects", "refs", "config.toml", "trash", "stage", "hooks"):
                found[shown] = b"" if name == ".lock" else path.read_bytes()
    return {name: content for name, content in found.items() if not name.endswith("/.lock")}


def refused(victim: Path, evil: Path, said: str = "", *, cloned: bool = False) -> None:
    """Every command that listens to ``evil`` refuses what it offers, and an honest peer is none the worse."""
    run = InProcess(victim)
    run("remote", "add", "evil", evil)
    files, outside, log = snapshot(victim), snapshot(victim.parent / "outside"), told(victim)
    for words in COMMANDS:
        done = run(*words, "evil", code=5)
        assert said in done.err, done.err
        assert "\x1b" not in done.text + done.err
        assert snapshot(victim) == files
        assert snapshot(victim.parent / "outside") == outside
        assert told(victim) == log
    run("merge", "evil/head", code=1)
    if not cloned:
        InProcess(victim.parent)("clone", evil, "copied", code=5)
    assert not (victim.parent / "copied").exists() or snapshot(victim.parent / "copied") == {}
    assert told(victim) == log
    run("remote", "remove", "evil")
    run("fsck")
    InProcess(victim.parent)("clone", victim, "honest")
    write(victim.parent / "honest/theirs", "an honest edit")
    run("remote", "add", "honest", victim.parent / "honest")
    run("sync", "honest")
    assert_equal(victim, victim.parent / "honest")
    run("fsck")


def offered(tmp_path: Path, evil: Evil) -> Path:
    forger = Forger(tmp_path / "evil")
    evil(forger)
    return forger.root


NAMES = {
    "dots": b"..",
    "dot": b".",
    "empty": b"",
    "slash": b"../outside/secret",
    "absolute": b"/etc/passwd",
    "inner slash": b"a/b",
    "nul": b"a\0b",
    "dot directory": b".replican",
    "upper case": b".RepliCan",
    "wide c": ".repli\uff43an".encode(),
    "ignorable": ".repli\u200dcan".encode(),
    "soft hyphen": ".repli\u00adcan".encode(),
    "full width": "\uff0ereplican".encode(),
    "kelvin-like fold": "\ufe52replican".encode(),
    "too long": b"n" * 256,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_forbidden_name(victim: Path, tmp_path: Path, name: bytes) -> None:
    refused(victim, offered(tmp_path, lambda evil: evil.offer(evil.tree(file(name, b"x")))), "tree has")


def test_a_forbidden_name_far_below(victim: Path, tmp_path: Path) -> None:
    refused(
        victim,
        offered(tmp_path, lambda evil: evil.offer(evil.tree(directory(b"d", evil.tree(file(b"..", b"x")))))),
        "forbidden name",
    )


ENTRIES: dict[str, list[bytes]] = {
    "twice": [file(b"a", b"1"), file(b"a", b"2")],
    "link and directory of one name": [link(b"a", b"../outside"), directory(b"a", EMPTY_TREE)],
    "directory and link of one name": [directory(b"a", EMPTY_TREE), link(b"a", b"../outside")],
    "not sorted": [file(b"b", b"1"), file(b"a", b"2")],
    "year 10^9": [entry(b"a", mtime=b"31556952000000000000000000")],
    "over int64": [entry(b"a", mtime=b"9223372036854775808")],
    "under int64": [entry(b"a", mtime=b"-9223372036854775808")],
    "no number": [entry(b"a", mtime=b"now")],
    "minus nothing": [entry(b"a", mtime=b"-0")],
    "size over int64": [entry(b"a", size=b"9223372036854775808")],
    "negative size": [entry(b"a", size=b"-1")],
    "set-uid": [entry(b"a", perm=b"4755")],
    "set-gid": [entry(b"a", perm=b"2755")],
    "sticky": [entry(b"a", perm=b"1777")],
    "set-id directory": [entry(b"a", EMPTY_TREE, b"d", b"2755")],
    "device": [entry(b"a", kind=b"c")],
    "a directory with a size": [entry(b"a", EMPTY_TREE, b"d", b"0755", b"5")],
    "sums over the limit": [entry(b"%d" % at, size=b"%d" % ((1 << 63) - 1)) for at in range(3)],
}


@pytest.mark.parametrize("entries", ENTRIES.values(), ids=ENTRIES)
def test_a_malformed_listing(victim: Path, tmp_path: Path, entries: list[bytes]) -> None:
    refused(victim, offered(tmp_path, lambda evil: evil.offer(evil.tree(*entries))), "tree")


def contains_itself(evil: Forger) -> None:
    claimed = b"\x77" * 32
    evil.offer(evil.tree(directory(b"d", claimed), id=claimed))


def cycle_of_trees(evil: Forger) -> None:
    one, two = b"\x71" * 32, b"\x72" * 32
    evil.tree(directory(b"d", two), id=one)
    evil.offer(evil.tree(directory(b"d", one), id=two))


def cycle_of_checkpoints(evil: Forger) -> None:
    tree, one, two = evil.tree(file(b"a", b"x")), b"\x73" * 32, b"\x74" * 32
    evil.put(b"commit", user(tree, two), one)
    evil.put(b"commit", user(tree, one), two)
    evil.set_head(one)


def swapped(evil: Forger) -> None:
    wanted = hash_of(b"tree", file(b"a", b"x"))
    evil.offer(evil.put(b"tree", file(b"b", b"x"), wanted))


def blob_as_tree(evil: Forger) -> None:
    evil.offer(evil.put(b"blob", file(b"a", b"x")))


def size_that_lies(evil: Forger) -> None:
    payload = file(b"a", b"x")
    tree = hash_of(b"tree", payload)
    evil.offer(evil.put(b"tree", payload, tree, zlib.compress(b"tree 7\0" + payload)))


def doubling(evil: Forger) -> None:
    tree = evil.tree(file(b"f", b"x"))
    for _ in range(60):
        tree = evil.tree(directory(b"a", tree), directory(b"b", tree))
    evil.offer(tree)


def too_deep(evil: Forger) -> None:
    tree = EMPTY_TREE
    for _ in range(10_001):
        tree = evil.tree(directory(b"d", tree))
    evil.offer(tree)


def long_paths(evil: Forger) -> None:
    tree = EMPTY_TREE
    for _ in range(520):
        tree = evil.tree(directory(b"d" * 255, tree))
    evil.offer(tree)


def loose_bomb(evil: Forger) -> None:
    """A stream of half a GiB that takes half a MiB."""
    packer = zlib.compressobj(9)
    stream = packer.compress(b"tree 5\0")
    stream += b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    evil.offer(evil.put(b"tree", b"", b"\x75" * 32, stream))


def packed_bomb(evil: Forger) -> None:
    packer = zlib.compressobj(9)
    stream = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    data, index = pack([(2, 5, stream, b"\x76" * 32)])
    folder = evil.root / ".replican/objects/pack"
    folder.mkdir()
    (folder / f"pack-{data[-32:].hex()}.pack").write_bytes(data)
    (folder / f"pack-{data[-32:].hex()}.idx").write_bytes(index)
    evil.offer(b"\x76" * 32)


@pytest.mark.parametrize(
    "evil",
    [
        contains_itself,
        cycle_of_trees,
        cycle_of_checkpoints,
        swapped,
        blob_as_tree,
        size_that_lies,
        doubling,
        too_deep,
        long_paths,
        loose_bomb,
        packed_bomb,
    ],
)
def test_forged_objects(victim: Path, tmp_path: Path, evil: Evil) -> None:
    refused(victim, offered(tmp_path, evil))


def two_roots(evil: Forger) -> tuple[bytes, bytes, bytes]:
    """Two unrelated user checkpoints, sorted, and the tree that merging them gives."""
    a, b = file(b"a", b"x"), file(b"b", b"y")
    one, two = sorted(evil.commit(user(evil.tree(each))) for each in (a, b))
    return one, two, evil.tree(a, b)


def wrong_tree(evil: Forger) -> None:
    one, two, _ = two_roots(evil)
    evil.set_head(evil.commit(merge(evil.tree(file(b"a", b"x")), one, two)))


def unsorted_parents(evil: Forger) -> None:
    one, two, tree = two_roots(evil)
    evil.set_head(evil.commit(merge(tree, two, one)))


def doubled_parents(evil: Forger) -> None:
    one, _, tree = two_roots(evil)
    evil.set_head(evil.commit(merge(tree, one, one)))


def single_parent(evil: Forger) -> None:
    one, _, tree = two_roots(evil)
    evil.set_head(evil.commit(merge(tree, one)))


def related_parents(evil: Forger) -> None:
    one, _, tree = two_roots(evil)
    child = evil.commit(user(tree, one))
    evil.set_head(evil.commit(merge(tree, *sorted([one, child]))))


def merge_of_a_merge(evil: Forger) -> None:
    one, two, tree = two_roots(evil)
    joined = evil.commit(merge(tree, one, two))
    other = evil.commit(user(tree, message=b"another"))
    evil.set_head(evil.commit(merge(tree, *sorted([joined, other]))))


def merge_with_words(evil: Forger) -> None:
    one, two, tree = two_roots(evil)
    evil.set_head(evil.commit(merge(tree, one, two, message=b"trust me")))


def user_with_two_parents(evil: Forger) -> None:
    one, two, tree = two_roots(evil)
    evil.offer(tree, one, two)


def wide_frontier(evil: Forger) -> None:
    tree = evil.tree(file(b"a", b"x"))
    parents = sorted(evil.commit(user(tree, message=b"%d" % at)) for at in range(257))
    evil.set_head(evil.commit(merge(tree, *parents)))


@pytest.mark.parametrize(
    "evil",
    [
        unsorted_parents,
        doubled_parents,
        single_parent,
        related_parents,
        merge_of_a_merge,
        merge_with_words,
        user_with_two_parents,
        wide_frontier,
    ],
)
def test_forged_checkpoints(victim: Path, tmp_path: Path, evil: Evil) -> None:
    refused(victim, offered(tmp_path, evil), "checkpoint")


def test_a_merge_with_another_tree(victim: Path, tmp_path: Path) -> None:
    """A first clone trusts the merges of its origin, as SECURITY.md says; nobody else does."""
    refused(victim, offered(tmp_path, wrong_tree), "not what merging its parents gives", cloned=True)


@pytest.mark.parametrize("time", [b"31556952000000000000000000", b"9223372036854775808", b"soon", b"-0"])
def test_absurd_times_of_checkpoints(victim: Path, tmp_path: Path, time: bytes) -> None:
    refused(victim, offered(tmp_path, lambda evil: evil.offer(EMPTY_TREE, time=time)), "checkpoint")


def test_a_tree_that_doubles_over_many_fetches(victim: Path, tmp_path: Path) -> None:
    """No fetch sees all of it: a merge does, before anything of it is written out."""
    evil, run = Forger(tmp_path / "evil"), InProcess(victim)
    run("remote", "add", "evil", evil.root)
    tree, at = evil.tree(file(b"f", b"x")), None
    for _ in range(8):
        for _ in range(5):
            tree = evil.tree(directory(b"a", tree), directory(b"b", tree))
        at = evil.offer(tree, *([at] if at else []))
        with evil.at_work():
            run("--wait", "0", "fetch", "evil")
    before = snapshot(victim)
    for words in (["merge", "evil"], ["merge", "evil", "--dry-run"]):
        assert "lists too much" in run(*words, code=3).err
    assert snapshot(victim) == before
    run("fsck")


def test_a_checkpoint_of_ours_is_no_tree(victim: Path, tmp_path: Path) -> None:
    """Though there is an object with that id here."""
    evil, run = Forger(tmp_path / "evil", like=victim), InProcess(victim)
    evil.offer(evil.tree(directory(b"d", evil.head)), evil.head)
    run("remote", "add", "evil", evil.root)
    with evil.at_work():
        run("--wait", "0", "fetch", "evil", code=5)
    run("fsck")


def test_a_link_over_two_checkpoints_leads_nowhere(victim: Path, tmp_path: Path) -> None:
    """First a link, then a directory of that name: what comes into the directory never goes through the link."""
    outside = tmp_path / "elsewhere"
    write(outside / "file", "of somebody else")
    evil, run = Forger(tmp_path / "evil", like=victim), InProcess(victim)
    evil.offer(evil.tree(link(b"way", os.fsencode(outside))), evil.head)
    (evil.root / "way").symlink_to(outside)
    run("remote", "add", "evil", evil.root)
    before = snapshot(outside)
    run("pull", "evil", "--allow-mass-delete", "--allow-unrelated", code=None)
    (evil.root / "way").unlink()
    write(evil.root / "way/file", "evil")
    evil.offer(evil.tree(directory(b"way", evil.tree(file(b"file", b"evil")))), evil.head)
    run("pull", "evil", "--allow-mass-delete", "--allow-unrelated", code=None)
    assert snapshot(outside) == before
    run("fsck", "--content")


def test_a_million_entries_take_bounded_memory(victim: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Allowed, and about 300 bytes an entry."""
    evil = Forger(tmp_path / "evil")
    evil.offer(evil.tree(*(entry(b"%07d" % at) for at in range(1_000_000))))
    InProcess(victim)("remote", "add", "evil", evil.root)
    with evil.at_work():
        used = peak(victim, "-q", "--wait", "0", "fetch", "evil", code=0, environment=environment)
    assert used < 512 * 1024  # KiB
