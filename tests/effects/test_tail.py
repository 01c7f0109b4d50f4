"""The tail: what is appended is there for everybody, a beginning of it after a cut, and all of it elsewhere at last."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from replican.effects.objects import ObjectStore
from replican.effects.refs import HEAD, RefStore
from replican.effects.tail import CAPACITY, LARGEST, Tail
from replican.effects.tailing import Tailing
from replican.values.checkpoints import Author, Checkpoint, encode_checkpoint, id_of
from replican.values.errors import DamagedError, NotFoundError
from replican.values.ids import CheckpointId, TreeId, tree_id
from replican.values.journal import JournalEntry
from replican.values.trees import FILE, Entry, encode_tree

Objects = dict[bytes, tuple[bytes, bytes]]


class Folder:
    """The log of one folder, opened once more with each of these."""

    def __init__(self, path: Path, in_use: bool = False) -> None:
        self.path = path
        self.tail = Tail(str(path))
        self.objects = ObjectStore(str(path / "objects"), self.tail)
        self.refs = RefStore(str(path), tail=self.tail)
        self.tailing = Tailing(self.tail, self.objects, self.refs, str(path / "index.db"))
        if in_use:
            self.tailing.begin()

    def record(self, number: int, entries: int = 1, soon: bool = False) -> CheckpointId:
        """One checkpoint more, with its tree; the head."""
        head = self.refs.read(HEAD)
        tree, objects = listing(number, entries)
        made = Checkpoint(tree, () if head is None else (head,), Author("x", "0" * 16, number), "", 1)
        objects[id_of(made)] = b"commit", encode_checkpoint(made)
        self.objects.add(objects)
        self.refs.update(HEAD, id_of(made), head, f"number {number}", "tester", 1000 + number, soon=soon)
        return id_of(made)


def listing(number: int, entries: int = 1) -> tuple[TreeId, Objects]:
    made = [
        Entry(b"%d-%05d" % (number, each), FILE, 0o644, number, number, os.urandom(32) if entries > 1 else b"i" * 32)
        for each in range(entries)
    ]
    payload = encode_tree(sorted(made, key=lambda entry: entry.name))
    return tree_id(payload), {tree_id(payload): (b"tree", payload)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "refs").mkdir()
    return Folder(tmp_path, in_use=True)


def test_what_is_appended_is_there_for_everybody(folder: Folder) -> None:
    other = Folder(folder.path)
    ids = [folder.record(number) for number in range(3)]
    assert not (folder.path / "objects").exists(), "all in one file"
    for each in (folder, other, Folder(folder.path)):
        assert each.refs.read(HEAD) == ids[-1]
        assert [line.new for line in each.refs.reflog(HEAD)] == ids[::-1]
        assert [line.old for line in each.refs.reflog(HEAD)] == [ids[1], ids[0], None]
        assert each.refs.names() == [HEAD]
        assert each.refs.has_reflog(HEAD)
        assert {id for id, kind in each.objects.ids() if kind == b"commit"} == {*ids}
        assert each.objects.checkpoint(ids[1]).parents == (ids[0],)
        assert each.objects.lacking([*ids, b"n" * 32]) == [b"n" * 32]
        assert each.objects.lacking(ids, b"tree") == ids
        assert each.objects.resolve_prefix(ids[0].hex()[:20]) == [(ids[0], b"commit")]
    assert (folder.path / "refs/head").read_text() == ids[-1].hex() + "\n", "whoever waits for the head hears of it"


def test_a_ref_that_may_wait_is_told_with_the_next_flush(folder: Folder) -> None:
    one = folder.record(1)
    two = folder.record(2, soon=True)
    assert (folder.path / "refs/head").read_text() == one.hex() + "\n"
    assert folder.refs.read(HEAD) == two
    folder.tailing.settle()
    assert (folder.path / "refs/head").read_text() == two.hex() + "\n"


def test_who_comes_next_has_everybody_hear_of_what_a_killed_one_recorded(folder: Folder) -> None:
    folder.record(1)
    two = folder.record(2, soon=True)
    Folder(folder.path).tailing.take_in()
    assert (folder.path / "refs/head").read_text() == two.hex() + "\n"


def test_all_goes_where_it_belongs(folder: Folder) -> None:
    ids = [folder.record(number) for number in range(3)]
    Folder(folder.path).tailing.put_down()
    assert len(list((folder.path / "objects/loose").iterdir())) == 6
    assert (folder.path / "refs/head.log").read_text().count("\n") == 3
    for each in (folder, Folder(folder.path)):
        each.tail.look()
        assert each.tail.is_empty
        assert each.refs.read(HEAD) == ids[-1]
        assert len(each.refs.reflog(HEAD)) == 3
        assert each.objects.checkpoint(ids[2]).parents == (ids[1],)
    more = folder.record(9)
    assert Folder(folder.path).refs.read(HEAD) == more
    assert (folder.path / "tail").stat().st_size == CAPACITY


def test_it_goes_there_once_though_a_kill_came_in_between(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [folder.record(number) for number in range(3)]

    def killed(tail: Tail) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Tail, "begin_anew", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.tailing.put_down()
    again = Folder(folder.path)
    assert [line.new for line in again.refs.reflog(HEAD)] == ids[::-1]
    again.tailing.put_down()
    assert (folder.path / "refs/head.log").read_text().count("\n") == 3


def test_a_full_tail_makes_room(folder: Folder) -> None:
    ids = [folder.record(number, entries=900) for number in range(30)]
    assert (folder.path / "tail").stat().st_size == CAPACITY
    assert (folder.path / "refs/head.log").exists(), "it was full at least once"
    other = Folder(folder.path)
    assert [line.new for line in other.refs.reflog(HEAD)] == ids[::-1]
    assert all(other.objects.tree(other.objects.checkpoint(each).tree) for each in ids)


def test_what_is_too_much_goes_the_usual_way(folder: Folder) -> None:
    head = folder.record(1, entries=LARGEST // 32)
    assert len(list((folder.path / "objects/loose").iterdir())) == 2
    assert Folder(folder.path).refs.read(HEAD) == head
    assert not folder.tail.add_batch([JournalEntry(os.urandom(LARGEST + 1000), None, None)])


def test_the_last_batch_is_known_with_a_mark_of_its_own(folder: Folder) -> None:
    file = Entry(b"name", FILE, 0o644, 3, 4, b"i" * 32)
    batches = [[JournalEntry(b"a/name", file, None), JournalEntry(b"b", None, file)], [JournalEntry(b"a", file, file)]]
    marks = set()
    for batch in batches:
        with folder.tailing.noting(batch) as noted:
            assert noted
        mark, entries = Folder(folder.path).tailing.noted()
        assert mark == b"", "before anybody has looked"
        other = Folder(folder.path)
        other.tailing.take_in()
        mark, entries = other.tailing.noted()
        assert entries == batch
        marks.add(mark)
    assert len(marks) == 2


# -- cuts and damage ---------------------------------------------------------------------------------------------


def states(folder: Folder) -> tuple[list[Objects], list[int]]:
    """What objects are in the tail after each checkpoint, and where that ends."""
    seen: list[Objects] = [{}]
    ends: list[int] = []
    for number in range(4):
        folder.record(number)
        seen.append(dict(folder.tail.objects))
        ends.append(folder.tail._end)
    return seen, ends


@pytest.mark.parametrize(
    "damage",
    [
        lambda content, at: content[:at],
        lambda content, at: content[:at] + bytes(len(content) - at),
        lambda content, at: content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :],
    ],
    ids=["cut off", "zeros", "flipped"],
)
def test_damage_leaves_a_beginning(folder: Folder, damage: Callable[[bytes, int], bytes]) -> None:
    seen, ends = states(folder)
    whole = (folder.path / "tail").read_bytes()
    for at in range(0, ends[-1], 7):
        (folder.path / "tail").write_bytes(damage(whole, at))
        other = Folder(folder.path)
        other.tail.look()
        assert other.tail.objects in seen
        assert len(other.tail.moves) >= sum(end <= at for end in ends), "all before it is there"
        assert (other.tail.flaw is not None) == (at < 24)
    (folder.path / "tail").write_bytes(whole + b"more")
    other = Folder(folder.path)
    other.tail.look()
    assert other.tail.objects == seen[-1]


def test_records_of_an_earlier_round_are_none(folder: Folder) -> None:
    for number in range(4):
        folder.record(number)
    folder.tailing.put_down()
    head = folder.record(9)
    other = Folder(folder.path)
    other.tail.look()
    assert [move.new for move in other.tail.moves] == [head]


def test_who_would_append_says_that_it_is_damaged(folder: Folder) -> None:
    head = folder.record(1)
    folder.tailing.put_down()
    for damage in (lambda path: path.write_bytes(b""), lambda path: path.symlink_to("refs/head"), os.mkdir):
        (folder.path / "tail").unlink()
        damage(folder.path / "tail")
        other = Folder(folder.path, in_use=True)
        assert other.tailing.flaw is not None
        assert other.refs.read(HEAD) == head
        with pytest.raises(DamagedError, match="the tail is damaged"):
            other.record(2)


@pytest.mark.parametrize("content", [b"", b"\0" * 65, b"not an id", None])
def test_a_ref_whose_file_the_power_cut_took_is_in_the_tail(folder: Folder, content: bytes | None) -> None:
    folder.record(1)
    folder.tailing.put_down()
    folder.record(2)
    head = folder.record(3)
    (folder.path / "refs/head").unlink()
    if content is not None:
        (folder.path / "refs/head").write_bytes(content)
    other = Folder(folder.path)
    assert other.refs.read(HEAD) == head
    other.tailing.take_in()
    assert (folder.path / "refs/head").read_text() == head.hex() + "\n"


def test_a_tail_never_leads_back(folder: Folder) -> None:
    """One that came back, since its new beginning was not flushed when the power went."""
    folder.record(1)
    old = (folder.path / "tail").read_bytes()
    head = folder.record(2)
    folder.tailing.put_down()
    (folder.path / "tail").write_bytes(old)
    other = Folder(folder.path)
    assert other.refs.read(HEAD) == head
    other.tailing.take_in()
    other.tailing.put_down()
    assert Folder(folder.path).refs.read(HEAD) == head
    assert Folder(folder.path).refs.reflog(HEAD)[0].new == head


def test_names_from_nowhere_are_no_refs(folder: Folder) -> None:
    line = b"0" * 64 + b" " + b"1" * 64 + b" x 1 +0000\tx\n"
    for name in ("../outside", "remotes/../../outside", "remotes/a/../../../outside/head", "head.log"):
        folder.tail.add_move(name, line)
    folder.tailing.settle()
    folder.tailing.put_down()
    assert folder.refs.names() == []
    assert sorted(os.listdir(folder.path)) == ["refs", "tail"]
    assert os.listdir(folder.path / "refs") == []


def test_an_object_that_is_nowhere(folder: Folder) -> None:
    folder.record(1)
    with pytest.raises(NotFoundError):
        folder.objects.read(b"n" * 32)
