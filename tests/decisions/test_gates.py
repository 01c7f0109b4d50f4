import pytest

from replican.decisions.gates import (
    ALLOW_MASS_DELETE,
    ALLOW_MISSING_MOUNT,
    FLAGS,
    Gate,
    emptied_root,
    flags_of,
    hint_of,
    mass_delete,
    missing_mount,
    no_inodes,
    no_room,
    pass_gates,
    unrelated_histories,
)
from replican.values.errors import NoSpaceError, RefusedError
from replican.values.hooks import PRE_MERGE


@pytest.mark.parametrize(("before", "after", "closed"), [(0, 0, False), (5, 4, False), (5, 0, True), (1, 0, True)])
def test_emptied_root(before: int, after: int, closed: bool) -> None:
    assert (emptied_root(before, after) is not None) == closed


@pytest.mark.parametrize(
    ("deleted", "before", "after", "largest", "closed"),
    [
        (0, 0, 0, 0, False),
        (20, 20, 0, 0, False),  # not more than 20
        (21, 42, 21, 0, False),  # not more than half
        (22, 42, 20, 0, True),
        (30, 1000, 970, 0, False),
        (0, 100, 10, 0, True),  # the numbers alone tell
        (60, 100, 140, 0, True),  # however many came at once
        (0, 100, 100, 100, False),
        (5, 55, 50, 100, False),
        (5, 54, 49, 100, True),  # a trickle
        (5, 54, 49, 0, False),
        (3, 15, 12, 33, True),
        (3, 15, 12, 32, False),
    ],
)
def test_mass_delete(deleted: int, before: int, after: int, largest: int, closed: bool) -> None:
    gate = mass_delete(deleted, before, after, largest)
    assert (gate is not None) == closed
    assert gate is None or (gate.name, gate.flag) == ("mass-delete", ALLOW_MASS_DELETE)


def test_missing_mount() -> None:
    assert missing_mount([]) is None
    gate = missing_mount(["b", "a", "c"])
    assert gate
    assert gate.flag == ALLOW_MISSING_MOUNT
    assert gate.message.startswith("a and 2 more ")


def test_no_room() -> None:
    assert no_room(5, 5) is None
    gate = no_room(6, 5)
    assert gate
    assert gate.flag is None


def test_no_inodes() -> None:
    assert no_inodes(5, 5) is None
    gate = no_inodes(6, 5)
    assert gate
    assert gate.flag is None


@pytest.mark.parametrize(
    ("related", "before", "closed"),
    [(True, True, False), (True, False, False), (False, False, False), (False, True, True)],
)
def test_unrelated_histories(related: bool, before: bool, closed: bool) -> None:
    assert (unrelated_histories(related, before) is not None) == closed


def test_every_gate_says_the_flag_that_is_known_of_it() -> None:
    made = [
        emptied_root(1, 0),
        mass_delete(30, 30, 0),
        missing_mount(["a"]),
        no_room(6, 5),
        no_inodes(6, 5),
        unrelated_histories(False, True),
    ]
    assert {gate.name: gate.flag for gate in made if gate is not None} | {PRE_MERGE: None} == FLAGS
    assert flags_of(["emptied-root", "mass-delete", "missing-mount"]) == (ALLOW_MASS_DELETE, ALLOW_MISSING_MOUNT)
    assert flags_of(["mass-delete", "no-room"]) == flags_of([]) == ()


def test_pass_gates() -> None:
    one, other = Gate("one", "--one", "first"), Gate("other", "--other", "second")
    pass_gates([None, None], ())
    pass_gates([one, None, other], {"--one", "--other"})
    with pytest.raises(RefusedError, match=r"^second$") as refused:
        pass_gates([one, other], {"--one"})
    assert refused.value.hint
    assert "--other" in refused.value.hint
    with pytest.raises(RefusedError, match=r"^first; second$") as refused:
        pass_gates([one, other], ())
    assert refused.value.hint
    assert "--one --other" in refused.value.hint
    assert hint_of(refused.value, "commit") == "if that is meant: `replican commit --one --other`"
    assert hint_of(refused.value, "pull", "disk") == "if that is meant: `replican pull --one --other disk`"
    with pytest.raises(NoSpaceError) as full:
        pass_gates([one, Gate("no-room", None, "full")], {"--one"})
    assert hint_of(full.value, "commit") == full.value.hint == "make room, and do the same again"
