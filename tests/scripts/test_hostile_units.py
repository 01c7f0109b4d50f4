"""Atomic directories of a peer that means harm."""

import pytest
from forging import directory, entry, file, merge, user
from replicas import Replicas
from victims import Victim


@pytest.fixture
def victim(replicas: Replicas) -> Victim:
    return Victim(replicas)


def unit(name: bytes, tree: bytes) -> bytes:
    return entry(name, tree, b"d", b"1755")


def test_the_digit_of_a_unit_where_none_may_be(victim: Victim) -> None:
    evil, head = victim.evil, victim.head
    inside = evil.tree(file(b"f", b"x"))
    forged = {
        "a file": file(b"x", b"x", perm=b"1644"),
        "a link": entry(b"x", kind=b"l", perm=b"1777"),
        **{f"a directory's {digit}": entry(b"x", inside, b"d", b"%d755" % digit) for digit in range(2, 8)},
        "an eight": entry(b"x", inside, b"d", b"1855"),
        "a unit with a size": entry(b"x", inside, b"d", b"1755", b"1"),
        "a unit with a time": entry(b"x", inside, b"d", b"1755", mtime=b"1"),
    }
    for what, made in forged.items():
        evil.offer(evil.tree(made), head, rules=b"2")
        victim.refuses_one("evil is damaged", what)
        evil.offer(evil.tree(unit(b"u", evil.tree(made))), head, rules=b"2")
        victim.refuses_one("evil is damaged", f"{what}, in a unit")
    for name in (b"..", b".replican", b"a/b", b""):
        evil.offer(evil.tree(unit(name, inside)), head, rules=b"2")
        victim.refuses_one("evil is damaged", ascii(name))
        evil.offer(evil.tree(unit(b"u", evil.tree(directory(b"d", evil.tree(file(name, b"x")))))), head, rules=b"2")
        victim.refuses_one("evil is damaged", f"{name!a}, in a unit")
    victim.is_sound()


TOO_EARLY = "it has an atomic directory, and merge rules that know of none"


def test_rules_that_know_of_no_units(victim: Victim) -> None:
    """Who knows these rules alone would merge it name by name."""
    evil, head = victim.evil, victim.head
    within = evil.tree(unit(b"u", evil.tree(file(b"f", b"x"))))
    tree = evil.tree(directory(b"d", within))
    evil.offer(tree, head, rules=b"1")
    victim.refuses_one(TOO_EARLY, "a child")
    evil.offer(tree, rules=b"1")
    victim.refuses_one(TOO_EARLY, "a root")
    ends = sorted(evil.commit(user(evil.tree(file(name, name)))) for name in (b"a", b"b"))
    evil.set_head(evil.commit(merge(tree, *ends)))
    victim.is_not_cloned()
    evil.offer(tree, head, rules=b"2")
    victim.run("b", "fetch", "evil")
    evil.offer(evil.tree(directory(b"other", within)), head, rules=b"1")
    victim.refuses("fetch", "evil", saying=TOO_EARLY)  # of a tree that is here already, too
    evil.offer(tree, evil.commit(user(tree, head, rules=b"2")), rules=b"1")
    victim.refuses("fetch", "evil", saying="its merge rules are older than its parent's")
    victim.is_sound()
