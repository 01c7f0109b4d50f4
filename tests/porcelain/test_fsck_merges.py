"""``replican fsck`` on the merges of a log: each is made once more."""

import shutil
from pathlib import Path

import pytest
from forging import LATER_RULES, Forger, directory, entry, file, merge, user
from replicas import OLD, Replicas

from replican.effects.objects import ObjectStore
from replican.operations import proving
from replican.values.checkpoints import Checkpoint
from replican.values.ids import CheckpointId
from replican.values.progress import Silent


def proof(root: Path) -> tuple[int, int, list[tuple[str, str]]]:
    """What ``fsck`` tells of the log at ``root``: how many merges are right, how many unproven, and what is damaged."""
    from replican.operations.checking import check
    from replican.repository import Repository

    with Repository.open(str(root)) as repo:
        found = check(repo)
    return found.merges, found.unproven, [(each.name, each.problem) for each in found.damage if each.what == "object"]


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    return Forger(tmp_path / "forged")


def fork(forger: Forger) -> tuple[bytes, bytes, bytes]:
    """One file; two users who each add another; the tree that merging them has to give."""
    f, g, h = (file(name, name) for name in (b"f", b"g", b"h"))
    first = forger.commit(user(forger.tree(f)))
    left = forger.commit(user(forger.tree(f, g), first))
    right = forger.commit(user(forger.tree(f, h), first))
    return left, right, forger.tree(f, g, h)


def joined(forger: Forger, tree: bytes, *parents: bytes) -> bytes:
    return forger.commit(merge(tree, *sorted(parents)))


NOT_SO = "it is not what merging its parents gives"


def test_right_merges_are_counted(replicas: Replicas) -> None:
    replicas.clone({"f": "1", "d/g": "2"})
    for number in range(3):
        replicas.write("a/f", f"of a {number}", OLD + number)
        replicas.write(f"b/d/{number}", "of b", OLD + number)
        replicas("b", "sync")
    assert replicas.json("b", "fsck")["merges"] == 3
    assert replicas("b", "fsck").err.endswith(" trees, 3 merges: all is well\n")
    replicas("b", "gc")
    (replicas.base / "b/.replican/index.db").unlink()
    assert replicas.json("b", "fsck")["merges"] == 3, "no memo is needed"


def test_a_merge_with_another_tree_is_named(forger: Forger) -> None:
    left, right, good = fork(forger)
    forger.set_head(joined(forger, good, left, right))
    assert proof(forger.root) == (1, 0, [])
    wrong = joined(forger, forger.tree(file(b"f", b"f")), left, right)
    forger.set_head(wrong)
    assert proof(forger.root) == (0, 0, [(wrong.hex(), NOT_SO)])


def test_a_unit_under_rules_that_know_of_none_is_named(forger: Forger) -> None:
    unit = entry(b"u", forger.tree(file(b"f", b"f")), b"d", b"1755")
    first = forger.offer(forger.tree(file(b"f", b"f")))
    good = forger.offer(forger.tree(unit), first, rules=b"2")
    forger.offer(forger.tree(unit, file(b"v", b"v")), good, rules=b"2")
    assert proof(forger.root) == (0, 0, [])
    wrong = forger.offer(forger.tree(directory(b"d", forger.tree(unit))), first)
    assert proof(forger.root) == (
        0,
        0,
        [(wrong.hex(), "it has an atomic directory, and merge rules that know of none")],
    )


def test_what_is_wrong_does_not_spread(forger: Forger) -> None:
    """Merges above are made of what the wrong one should have been, as by every other peer."""
    left, right, _ = fork(forger)
    wrong = joined(forger, forger.tree(file(b"f", b"f")), left, right)
    x, y = file(b"x", b"x"), file(b"y", b"y")
    f, g, h = (file(name, name) for name in (b"f", b"g", b"h"))
    one = forger.commit(user(forger.tree(f, g, h, x), wrong))
    other = forger.commit(user(forger.tree(f, g, h, y), wrong))
    forger.set_head(joined(forger, forger.tree(f, g, h, x, y), one, other))
    assert proof(forger.root) == (1, 0, [(wrong.hex(), NOT_SO)])


def test_what_a_merge_may_not_join(forger: Forger) -> None:
    left, right, good = fork(forger)
    above = forger.commit(user(good, left))
    related = joined(forger, good, left, above)
    forger.set_head(related)
    assert proof(forger.root) == (0, 0, [(related.hex(), "one of its parents comes from another")])
    nested = joined(forger, good, joined(forger, good, left, right), above)
    forger.set_head(nested)
    assert proof(forger.root)[2] == [(nested.hex(), "a merge never has a merge for a parent")]


def test_what_the_first_clone_took_over_unproven(forger: Forger, replicas: Replicas) -> None:
    left, right, _ = fork(forger)
    wrong = joined(forger, forger.tree(), left, right)
    forger.set_head(wrong)
    shutil.copytree(forger.root, replicas.base / "a")
    replicas(".", "clone", "a", "b")
    assert replicas.json("b", "fsck", code=6)["damage"] == [{"what": "object", "name": wrong.hex(), "problem": NOT_SO}]
    assert f"object {wrong.hex()}: {NOT_SO}" in replicas("b", "fsck", code=6).text
    assert replicas.json("b", "fsck", "--repair", code=6)["mended"] == []


def test_a_merge_of_what_a_remote_has(replicas: Replicas, forger: Forger) -> None:
    """What is not in this folder's own log yet is looked at, too."""
    replicas.clone({"f": "1"})
    left, right, _ = fork(forger)
    wrong = joined(forger, forger.tree(), left, right)
    for path in forger.loose.iterdir():
        shutil.copy(path, replicas.base / "b/.replican/objects/loose")
    (replicas.base / "b/.replican/refs/remotes/origin/head").write_text(wrong.hex() + "\n")
    assert (wrong.hex(), NOT_SO) in proof(replicas.base / "b")[2]


def test_of_what_lacks_something_nobody_can_tell(forger: Forger) -> None:
    left, right, good = fork(forger)
    forger.set_head(joined(forger, good, left, right))
    (forger.loose / left.hex()).unlink()
    merges, unproven, damage = proof(forger.root)
    assert (merges, unproven, [name for name, _ in damage]) == (0, 1, [left.hex()])


def test_a_tree_that_is_missing_below(forger: Forger) -> None:
    inner = forger.tree(file(b"f", b"f"))
    first = forger.commit(user(forger.tree(directory(b"d", inner))))
    one, other = (forger.tree(file(name, name)) for name in (b"1", b"2"))
    left = forger.commit(user(forger.tree(directory(b"d", one)), first))
    right = forger.commit(user(forger.tree(directory(b"d", other)), first))
    both = forger.tree(directory(b"d", forger.tree(file(b"1", b"1"), file(b"2", b"2"))))
    forger.set_head(joined(forger, both, left, right))
    assert proof(forger.root) == (1, 0, [])
    (forger.loose / inner.hex()).unlink()
    assert proof(forger.root)[:2] == (0, 1)


def test_rules_of_a_later_release(forger: Forger) -> None:
    left, right, good = fork(forger)
    later = forger.commit(user(good, right, rules=LATER_RULES))
    forger.set_head(forger.commit(merge(good, *sorted([left, later]), rules=LATER_RULES)))
    assert proof(forger.root) == (0, 1, [])
    older = forger.commit(user(good, later, rules=b"1"))
    forger.set_head(older)
    assert proof(forger.root)[2] == [(older.hex(), "its merge rules are older than its parent's")]


def long_log(root: Path, count: int) -> tuple[ObjectStore, CheckpointId]:
    """Two users who meet ``count`` times, crosswise: each merge needs a virtual base, which no checkpoint has."""
    from forgetful import Forgetful

    from replican.decisions.frontier import merge_checkpoint
    from replican.decisions.graph import Graph
    from replican.effects.forms import CHECKPOINT, TREE
    from replican.values.checkpoints import Author, encode_checkpoint, id_of
    from replican.values.ids import EMPTY_TREE, blob_id
    from replican.values.trees import FILE, Entry, TreeOverlay

    store = ObjectStore(str(root))
    made: dict[CheckpointId, Checkpoint] = {}

    class Log:
        def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
            return made[checkpoint]

    overlay, graph, memo = TreeOverlay(store), Graph(Log(), {}), Forgetful()
    overlay.new[EMPTY_TREE] = b""

    def record(checkpoint: Checkpoint) -> CheckpointId:
        made[id_of(checkpoint)] = checkpoint
        return id_of(checkpoint)

    def user_of(parent: CheckpointId | None, number: int, name: bytes) -> CheckpointId:
        old = [] if parent is None else [each for each in overlay.tree(made[parent].tree) if each.name != name]
        new = Entry(name, FILE, 0o644, 1, number, blob_id(b"%d" % number))
        tree = overlay.add(sorted([*old, new]))
        return record(Checkpoint(tree, (parent,) if parent else (), Author("u", "0" * 16, number), f"{number}"))

    one = other = user_of(None, 0, b"f")
    for number in range(1, count + 1):
        left, right = user_of(one, number, b"1"), user_of(other, number, b"2")
        above, beside = user_of(left, number, b"3"), user_of(right, number, b"4")
        one = record(merge_checkpoint(graph, overlay, frozenset([above, right]), memo)[1])
        other = record(merge_checkpoint(graph, overlay, frozenset([left, beside]), memo)[1])
    head = record(merge_checkpoint(graph, overlay, frozenset([above, beside]), memo)[1])
    objects = {id: (TREE, payload) for id, payload in overlay.new.items()}
    store.add({**objects, **{id: (CHECKPOINT, encode_checkpoint(each)) for id, each in made.items()}})
    return store, head


def test_what_is_remembered_on_the_way_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is needed: what was forgotten is made again."""
    store, head = long_log(tmp_path / "objects", 12)
    with store:
        found = proving.prove(store, [head], Silent())
        assert found == (23, 0, [])
        monkeypatch.setattr(proving, "_REMEMBERED", 1)
        monkeypatch.setattr(proving, "_KEPT_BYTES", 100)
        assert proving.prove(store, [head], Silent()) == found
