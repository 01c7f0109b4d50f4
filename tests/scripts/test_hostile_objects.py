"""Objects that a remote should never have: refused by every command, with nothing of it left behind."""

import hashlib
import zlib
from collections.abc import Callable

import forging
import pytest
from forging import EMPTY_TREE, Forger, directory, entry, file, link, user
from victims import Victim

Forge = Callable[[Forger], None]

NAMES = [
    b"",
    b".",
    b"..",
    b"a/b",
    b"/etc/passwd",
    b"../outside/kept",
    b"/",
    b"x" * 256,
    b".replican",
    b".Replican",
    b".REPLICAN",
    ".ｒｅｐｌｉｃａｎ".encode(),  # wide letters
    "․replican".encode(),  # a dot leader
    ".repl\u200cican".encode(),  # ignored by HFS+
    "\u202e.replican".encode(),
    ".replican\ufeff".encode(),
    ".repli\u00adcan".encode(),
    ".repli\u0063an\ufe0f".encode(),
    ".REPL\u2139CAN".encode(),
    b".replican.",  # FAT and NTFS drop what a name ends in
    b".replican . .",
    b".RePlIcAn ",
    ".replican\u200d.".encode(),
    b".replican::$INDEX_ALLOCATION",
    b".replican:x",
    b"REPLIC~1",
    b"replic~2",
    b"REPLIC~1.",
]
"""Names that no tree may hold, with a NUL among them tested by itself: it ends a name."""


@pytest.fixture
def victim(replicas) -> Victim:
    return Victim(replicas)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_names(victim: Victim, kind: str) -> None:
    evil, head = victim.evil, victim.head
    inside = evil.tree(file(b"config.toml", b"harm"))
    for name in NAMES:
        made = {"file": file(name, b"harm"), "directory": directory(name, inside), "link": link(name, b"/etc")}[kind]
        tree = evil.tree(made)
        evil.offer(tree if kind == "file" else evil.tree(directory(b"d", tree)), head)
        victim.refuses_one("evil is damaged", ascii(name))
    victim.is_sound()


ENTRIES: dict[str, bytes] = {
    "a NUL in a name": entry(b"a\0b"),
    "an id that is cut off": entry(b"x", b"\x11" * 31),
    "nothing after the name": b"f0644 0 0 x\0",
    "set-uid": entry(b"x", perm=b"4755"),
    "set-gid": entry(b"x", perm=b"2755"),
    "sticky": entry(b"x", perm=b"1777"),
    "set-uid on a directory": entry(b"x", EMPTY_TREE, b"d", b"4755"),
    "more permissions than there are": entry(b"x", perm=b"07777"),
    "permissions that are no octal digits": entry(b"x", perm=b"0999"),
    "a link with permissions": entry(b"x", kind=b"l", perm=b"0644"),
    "a fifo": entry(b"x", kind=b"p"),
    "a device": entry(b"x", kind=b"c"),
    "a size below nothing": entry(b"x", size=b"-1"),
    "a size of 2^63": entry(b"x", size=b"9223372036854775808"),
    "a size of many digits": entry(b"x", size=b"9" * 5000),
    "a size with a zero before it": entry(b"x", size=b"007"),
    "a size that is no number": entry(b"x", size=b"1e9"),
    "a directory with a size": entry(b"x", EMPTY_TREE, b"d", b"0755", size=b"1"),
    "a directory with a time": entry(b"x", EMPTY_TREE, b"d", b"0755", mtime=b"1"),
    "a time in the year 10^9": entry(b"x", mtime=b"31556952000000000000000000"),
    "a time of 2^63": entry(b"x", mtime=b"9223372036854775808"),
    "a time of -2^63": entry(b"x", mtime=b"-9223372036854775808"),
    "a time that is no number": entry(b"x", mtime=b"yesterday"),
    "minus nothing": entry(b"x", mtime=b"-0"),
    "a time with a sign": entry(b"x", mtime=b"+1"),
    "the same name twice": entry(b"x") + entry(b"x", b"\x22" * 32),
    "a file and a link of one name": file(b"x", b"") + link(b"x", b"/etc"),
    "a link and a directory of one name": link(b"x", b"/etc") + directory(b"x", EMPTY_TREE),
    "names that are not sorted": entry(b"y") + entry(b"x"),
    "sorted as git sorts directories": entry(b"x.", b"\x22" * 32) + directory(b"x", EMPTY_TREE),
    "something after the last entry": entry(b"x") + b"\n",
    "no entry at all": b"harmless",
}


def test_entries(victim: Victim) -> None:
    head = victim.head
    for what, payload in ENTRIES.items():
        victim.evil.offer(victim.evil.tree(payload), head)
        victim.refuses_one("evil is damaged", what)
    victim.refuses_all("evil is damaged")
    victim.is_sound()


def test_attributes_of_a_later_release(victim: Victim) -> None:
    victim.evil.offer(victim.evil.tree(entry(b"x"), b"*1\0more"), victim.head)
    victim.refuses("fetch", "evil", saying="upgrade replican", code=3)
    victim.is_sound()


CHECKPOINTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "two parents": lambda tree, head: user(tree, *sorted([head, hash_of_other(head)])),
    "the same parent twice": lambda tree, head: user(tree, head, head),
    "a year of ten digits": lambda tree, head: user(tree, head, time=b"31556952000000000000000000"),
    "a time of 2^63": lambda tree, head: user(tree, head, time=b"9223372036854775808"),
    "a time of -2^63": lambda tree, head: user(tree, head, time=b"-9223372036854775808"),
    "a time that is no number": lambda tree, head: user(tree, head, time=b"now"),
    "a time with five thousand digits": lambda tree, head: user(tree, head, time=b"1" * 5000),
    "no author's name": lambda tree, head: user(tree, head, name=b""),
    "a name of blanks": lambda tree, head: user(tree, head, name=b"  "),
    "a name with a line end": lambda tree, head: user(tree, head, name=b"x\nparent"),
    "a name with a NUL": lambda tree, head: user(tree, head, name=b"a\0b"),
    "a name that is no UTF-8": lambda tree, head: user(tree, head, name=b"\xff\xfe"),
    "a message that is no UTF-8": lambda tree, head: user(tree, head, message=b"\xff"),
    "a message of two megabytes": lambda tree, head: user(tree, head, message=b"x" * (2 << 20)),
    "rules 0": lambda tree, head: user(tree, head, rules=b"0"),
    "rules below nothing": lambda tree, head: user(tree, head, rules=b"-1"),
    "a tree of too few digits": lambda tree, head: user(tree[:31], head),
    "an id in capitals": lambda tree, head: user(tree, head).replace(tree.hex().encode(), tree.hex().upper().encode()),
    "a header that is not known": lambda tree, head: user(tree, head).replace(b"rules", b"encoding x\nrules"),
    "headers in another order": lambda tree, head: b"rules 1\n" + user(tree, head).replace(b"rules 1\n", b""),
    "a merge of one": lambda tree, head: forging.merge(tree, head),
    "a merge of nothing": lambda tree, head: forging.merge(tree),
    "a merge with a message": lambda tree, head: forging.merge(tree, *pair(head), message=b"x"),
    "a merge with unsorted parents": lambda tree, head: forging.merge(tree, *reversed(pair(head))),
    "a merge with one parent twice": lambda tree, head: forging.merge(tree, head, head),
    "a merge of 257": lambda tree, head: forging.merge(tree, *sorted(hash_of_other(b"%d" % n) for n in range(257))),
    "nothing": lambda tree, head: b"",
}


def hash_of_other(of: bytes) -> bytes:
    return hashlib.sha256(of).digest()


def pair(head: bytes) -> list[bytes]:
    return sorted([head, hash_of_other(head)])


def test_checkpoints(victim: Victim) -> None:
    tree, head = victim.evil.tree(file(b"x", b"")), victim.head
    for what, forge in CHECKPOINTS.items():
        victim.evil.set_head(victim.evil.commit(forge(tree, head)))
        victim.refuses_one("evil", what)
    victim.refuses_all("evil")
    victim.is_sound()


# -- objects that are not what their ids say ----------------------------------------------------------------------


def test_a_tree_under_the_id_of_another(victim: Victim) -> None:
    victim.evil.offer(victim.evil.tree(file(b"x", b"harm"), id=b"\x77" * 32), victim.head)
    victim.refuses_all("object 7777")
    victim.is_sound()


def test_a_checkpoint_under_the_id_of_another(victim: Victim) -> None:
    tree = victim.evil.tree(file(b"x", b"harm"))
    victim.evil.set_head(victim.evil.put(b"commit", user(tree, victim.head), id=b"\x77" * 32))
    victim.refuses_all("object 7777")
    victim.is_sound()


def test_a_tree_that_contains_itself(victim: Victim) -> None:
    own = b"\x77" * 32
    victim.evil.offer(victim.evil.tree(directory(b"again", own), id=own), victim.head)
    victim.refuses_all("object 7777")
    victim.is_sound()


def test_trees_in_a_circle(victim: Victim) -> None:
    one, other = b"\x77" * 32, b"\x78" * 32
    victim.evil.tree(directory(b"other", other), id=one)
    victim.evil.tree(directory(b"one", one), id=other)
    victim.evil.offer(victim.evil.tree(directory(b"d", one)), victim.head)
    victim.refuses_all("object 777")
    victim.is_sound()


def test_checkpoints_in_a_circle(victim: Victim) -> None:
    one, other = b"\x77" * 32, b"\x78" * 32
    tree = victim.evil.tree(file(b"x", b""))
    victim.evil.put(b"commit", user(tree, other), id=one)
    victim.evil.put(b"commit", user(tree, one), id=other)
    victim.evil.set_head(one)
    victim.refuses_all("object 777")
    victim.is_sound()


@pytest.mark.parametrize("what", ["tree", "parent", "head", "subtree"])
def test_an_object_of_the_wrong_kind_or_missing(victim: Victim, what: str) -> None:
    evil = victim.evil
    tree = evil.tree(file(b"x", b""))
    good = evil.commit(user(tree))
    if what == "tree":
        evil.offer(good, victim.head)
    elif what == "parent":
        evil.offer(tree, tree)
    elif what == "head":
        evil.set_head(tree)
    else:
        evil.offer(evil.tree(directory(b"d", good)), victim.head)
    victim.refuses_all("evil")
    for missing in (evil.commit(user(b"\x55" * 32, victim.head)), evil.commit(user(tree, b"\x55" * 32)), b"\x55" * 32):
        evil.set_head(missing)
        victim.refuses("fetch", "evil", saying="no object 5555")
    victim.is_sound()


STREAMS: dict[str, bytes] = {
    "no zlib": b"tree 5\0hello",
    "nothing": b"",
    "a head that lies": zlib.compress(b"tree 3\0hello"),
    "a head that promises more": zlib.compress(b"tree 4000000000\0hello"),
    "a head of a thousand digits": zlib.compress(b"tree " + b"9" * 1000 + b"\0"),
    "a size below nothing": zlib.compress(b"tree -5\0hello"),
    "a blob": zlib.compress(b"blob 5\0hello"),
    "a tag": zlib.compress(b"tag 5\0hello"),
    "no head": zlib.compress(b"hello"),
    "cut off": zlib.compress(b"tree 5\0hello")[:-6],
    "something behind": zlib.compress(b"tree 5\0hello") + b"more",
}


def test_streams(victim: Victim) -> None:
    own = forging.hash_of(b"tree", b"hello")
    victim.evil.offer(own, victim.head)
    for what, stream in STREAMS.items():
        victim.evil.put(b"tree", b"", own, stream)
        victim.refuses_one(f"object {own.hex()}", what)
    victim.refuses_all(f"object {own.hex()}")
    victim.is_sound()
