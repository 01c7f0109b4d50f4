"""Logs that a remote should never have: forged merges, trees built to explode, what grows from fetch to fetch."""

import hashlib
import zlib

import forging
import pytest
from forging import EMPTY_TREE, LATER_RULES, directory, entry, file, user
from memory import peak
from victims import Victim


@pytest.fixture
def victim(replicas) -> Victim:
    return Victim(replicas)


def two_users(victim: Victim) -> tuple[bytes, bytes, bytes]:
    """Two user checkpoints on top of the honest head, sorted, and the tree that joins them."""
    evil, head = victim.evil, victim.head
    x, y = file(b"x", b""), file(b"y", b"")
    trees = [evil.tree(x), evil.tree(y)]
    one, other = sorted(evil.commit(user(tree, head)) for tree in trees)
    return one, other, evil.tree(x, y)


def test_forged_merges(victim: Victim) -> None:
    """Of two that each removed what the other one has not, the true merge is the union of what they added."""
    evil, head = victim.evil, victim.head
    one, other, both = two_users(victim)
    wrong = evil.tree(file(b"z", b"harm"))
    merged = evil.commit(forging.merge(both, one, other))
    later = evil.commit(user(both, merged))
    for what, payload, saying in [
        ("another tree", forging.merge(wrong, one, other), "not what merging its parents gives"),
        ("the empty tree", forging.merge(EMPTY_TREE, one, other), "not what merging its parents gives"),
        ("one side's tree", forging.merge(evil.tree(file(b"x", b"")), one, other), "not what merging its parents"),
        ("unsorted", forging.merge(both, other, one), "sorted"),
        ("an ancestor", forging.merge(both, *sorted([one, head])), "one of its parents comes from another"),
        ("a merge of a merge", forging.merge(both, *sorted([merged, head])), "never has a merge for a parent"),
        ("older rules", user(both, evil.commit(user(both, head, rules=b"2"))), "rules are older"),
        ("two parents", user(both, one, other), "evil"),
        ("a wrong one below", user(both, evil.commit(forging.merge(wrong, one, other))), "not what merging"),
        ("a merge with a descendant", forging.merge(both, *sorted([one, later])), "comes from another"),
    ]:
        evil.set_head(evil.commit(payload))
        with evil.at_work():
            victim.what = what
            for command in ("fetch", "pull", "sync"):
                victim.refuses("--wait", "0", command, "evil", saying=saying)
    victim.is_sound()
    evil.set_head(merged)  # and this is what is taken: so it was not something else that was refused
    with evil.at_work():
        victim.run("b", "--wait", "0", "fetch", "evil")


def test_a_first_clone_trusts_trees_and_not_forms(victim: Victim) -> None:
    evil = victim.evil
    one, other, both = two_users(victim)
    merged = evil.commit(forging.merge(both, one, other))
    for what, payload in [
        ("a merge of a merge", forging.merge(both, *sorted([merged, victim.head]))),
        ("older rules", user(both, evil.commit(user(both, one, rules=b"2")))),
    ]:
        victim.what = what
        evil.set_head(evil.commit(payload))
        victim.is_not_cloned()


def test_rules_of_a_later_release_are_fetched_and_not_merged(victim: Victim) -> None:
    victim.evil.offer(victim.evil.tree(file(b"x", b"")), victim.head, rules=LATER_RULES)
    with victim.evil.at_work():
        victim.run("b", "--wait", "0", "fetch", "evil")
    victim.run.write("b/mine", "x")
    victim.run("b", "commit")
    victim.refuses("merge", "evil", saying="upgrade replican", code=3)
    victim.is_sound()


@pytest.mark.parametrize("what", ["the tree of a checkpoint", "a directory", "a parent", "the head"])
def test_what_is_here_already_under_another_kind(victim: Victim, what: str) -> None:
    """Nothing of it would travel, so nothing of it would be looked at."""
    evil, head = victim.evil, victim.head
    tree = bytes.fromhex(victim.run.json("b", "log")[0]["tree"])
    if what == "the tree of a checkpoint":
        evil.offer(head, head)
    elif what == "a directory":
        evil.offer(evil.tree(directory(b"d", head)), head)
    elif what == "a parent":
        evil.offer(tree, tree)
    else:
        evil.set_head(tree)
    victim.refuses_all("evil")
    victim.is_sound()


# -- built to explode ---------------------------------------------------------------------------------------------


def bomb(victim: Victim, floors: int, tree: bytes) -> bytes:
    for _ in range(floors):
        tree = victim.evil.tree(directory(b"a", tree), directory(b"b", tree))
    return tree


def test_trees_that_each_name_the_next_one_twice(victim: Victim) -> None:
    victim.evil.offer(bomb(victim, 60, victim.evil.tree(file(b"x", b""))), victim.head)
    victim.refuses("fetch", "evil", saying="lists too much", code=5)
    with victim.evil.at_work():
        victim.refuses("--wait", "0", "sync", "evil", saying="lists too much", code=5)
    victim.is_sound()


def test_a_tree_that_doubles_from_fetch_to_fetch(victim: Victim) -> None:
    """What is here already counts, at the latest when it would be written out."""
    tree = bomb(victim, 20, victim.evil.tree(file(b"x", b"")))
    for number in range(3):
        victim.evil.offer(tree, victim.head, message=b"%d" % number)
        with victim.evil.at_work():
            victim.run("b", "--wait", "0", "fetch", "evil")
        tree = bomb(victim, 1, tree)
    for _ in range(4):
        tree = bomb(victim, 1, tree)
    victim.evil.offer(tree, victim.head)
    with victim.evil.at_work():
        victim.run("b", "--wait", "0", "fetch", "evil", code=None)
        for command in ("merge", "pull", "sync"):
            victim.refuses("--wait", "0", command, "evil", saying="lists too much", code=3)
    victim.is_sound()


def test_sizes_whose_sum_is_more_than_64_bits(victim: Victim) -> None:
    most = b"9223372036854775807"
    tree = victim.evil.tree(*(entry(b"%d" % n, hashlib.sha256(b"%d" % n).digest(), size=most) for n in range(4)))
    victim.evil.offer(tree, victim.head)
    victim.refuses("fetch", "evil", saying="too many bytes", code=5)
    victim.is_sound()


def test_a_size_that_the_disk_has_no_room_for(victim: Victim) -> None:
    victim.evil.offer(victim.evil.tree(entry(b"huge", size=b"%d" % (1 << 60))), victim.head)
    with victim.evil.at_work():
        victim.run("b", "--wait", "0", "fetch", "evil")
        before = victim.state()
        victim.run("b", "--wait", "0", "merge", "evil", code=3)
        assert victim.state() == before
    victim.is_sound()


def test_too_deep(victim: Victim) -> None:
    tree = EMPTY_TREE
    objects = victim.evil
    for _ in range(10_001):
        tree = objects.tree(directory(b"d", tree))
    objects.offer(tree, victim.head)
    with objects.at_work():
        victim.refuses("--wait", "0", "fetch", "evil", saying="too deep", code=5)
    victim.is_sound()


def test_paths_that_are_too_long(victim: Victim) -> None:
    tree = EMPTY_TREE
    for _ in range(600):
        tree = victim.evil.tree(directory(b"d" * 255, tree))
    victim.evil.offer(tree, victim.head)
    with victim.evil.at_work():
        victim.refuses("--wait", "0", "fetch", "evil", saying="paths that are too long", code=5)
    victim.is_sound()


@pytest.mark.parametrize("packed", [False, True])
def test_an_object_that_inflates_to_more_than_it_says(victim: Victim, packed: bool) -> None:
    """256 MiB in one: no more is inflated than the size that is claimed, and never more than the limit."""
    evil = victim.evil
    many = zlib.compressobj(1)
    start = b"tree 100\0" if not packed else b""
    stream = many.compress(start)
    block = bytes(1 << 20)
    stream += b"".join(many.compress(block) for _ in range(1 << 8)) + many.flush()
    own = b"\x77" * 32
    if packed:
        data, index = forging.pack([(2, 100, stream, own)])
        name = f"pack-{data[-32:].hex()}"
        folder = evil.root / ".replican/objects/pack"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.pack").write_bytes(data)
        (folder / f"{name}.idx").write_bytes(index)
    else:
        evil.put(b"tree", b"", own, stream)
    evil.offer(own, victim.head)
    used = peak(victim.base / "b", "fetch", "evil", code=5)
    assert used < 128 << 10, f"{used} KiB"
    victim.is_sound()


@pytest.mark.slow
def test_a_tree_of_a_million_names(victim: Victim) -> None:
    """It is in the format, so it is fetched: by memory in proportion to what it is."""
    id = b"\x11" * 32
    payload = b"".join(b"f0644 0 0 %07d\0%s" % (number, id) for number in range(1_000_000))
    victim.evil.offer(victim.evil.put(b"tree", payload), victim.head)
    with victim.evil.at_work():
        used = peak(victim.base / "b", "--wait", "0", "fetch", "evil", code=0)
    assert used < 8 * len(payload) >> 10, f"{used} KiB for {len(payload) >> 10} KiB"
