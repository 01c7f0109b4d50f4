"""A first clone over a link: what is done while the other end is busy comes to the same as what is done in turn."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest
from folders import assert_equal, write
from linked import clone

from replican.decisions.limits import Measure
from replican.effects.channel import Channel
from replican.effects.objects import ObjectStore
from replican.operations import fetching, serving
from replican.operations.fetching import Foreseen
from replican.operations.recording import record
from replican.operations.sending import Sent
from replican.repository import Repository
from replican.values import messages
from replican.values.errors import DamagedError
from replican.values.ids import CheckpointId, blob_id, tree_id
from replican.values.trees import FILE, TIME_LIMIT, Entry, encode_tree


@pytest.fixture
def recorded(there: Path) -> Path:
    """The same folder, when it has a log."""
    with Repository.init(str(there)) as repo:
        record(repo)
    return there


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked for, but for content."""
    kinds: list[str] = []
    send = Channel.send

    def watch(channel: Channel, message: messages.Message) -> None:
        if isinstance(message, messages.ListRefs | messages.WantLog | messages.Record | messages.WantObjects):
            kinds.append(type(message).__name__)
        send(channel, message)

    monkeypatch.setattr(Channel, "send", watch)
    return kinds


def test_a_log_comes_before_the_folder_is_looked_at(recorded: Path, requests: list[str], tmp_path: Path) -> None:
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert requests == ["ListRefs", "WantLog", "Record"]


def test_what_is_recorded_then_comes_afterwards(recorded: Path, requests: list[str], tmp_path: Path) -> None:
    write(recorded / "1/6", b"edited")
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert requests == ["ListRefs", "WantLog", "Record", "WantLog"]
    with Repository(str(tmp_path / "here")) as repo:
        assert repo.head is not None
        (parent,) = repo.checkpoint(repo.head).parents
        assert repo.objects.has(parent)


def test_a_replica_without_a_log(there: Path, requests: list[str], tmp_path: Path) -> None:
    Repository.init(str(there)).close()
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert requests == ["ListRefs", "Record", "WantLog"]


@pytest.mark.parametrize("what", ["no trees", "nothing", "damage"])
def test_a_log_that_does_not_come_at_first(
    recorded: Path, requests: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    log_above, left = serving.log_above, [1]

    def lacking(
        objects: ObjectStore, heads: Iterable[CheckpointId], have: Collection[CheckpointId], most: int
    ) -> Iterator[Sent]:
        sent = log_above(objects, heads, have, most)
        if left:
            left.pop()
            if what == "damage":
                raise DamagedError("an object")
            sent = (each for each in sent if what == "no trees" and each.kind == b"commit")
        yield from sent

    monkeypatch.setattr(serving, "log_above", lacking)
    clone(tmp_path / "here")
    assert not left
    assert_equal(recorded, tmp_path / "here")
    assert requests == ["ListRefs", "WantLog", "Record", "WantLog"]


# -- listings that may be trees ----------------------------------------------------------------------------------


def listing(count: int, mtime_ns: int = 7) -> bytes:
    return encode_tree([Entry(b"%03d" % n, FILE, 0o644, 1, mtime_ns, blob_id(b"%d" % n)) for n in range(count)])


def test_a_listing_is_parsed_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Repository.init(str(tmp_path)) as repo:
        payload = listing(3)
        Foreseen(repo).see(payload)
        assert repo.measured == {tree_id(payload): Measure(3, 3, 1, 3)}
        assert [entry.name for entry in repo.objects.parsed[tree_id(payload)]] == [b"000", b"001", b"002"]
        assert not repo.objects.has(tree_id(payload))


@pytest.mark.parametrize(
    "payload",
    [
        b"no tree",
        listing(2, TIME_LIMIT),
        listing(2) + listing(1),
        listing(2)[:-1],
        encode_tree([Entry(b"..", FILE, 0o644, 1, 1, bytes(32))]),
    ],
    ids=["no tree", "a time out of range", "twice the same name", "cut off", "a forbidden name"],
)
def test_what_is_no_tree_is_not_kept(tmp_path: Path, payload: bytes) -> None:
    with Repository.init(str(tmp_path)) as repo:
        Foreseen(repo).see(payload)
        assert repo.measured == {}
        assert dict(repo.objects.parsed) == {}


def test_no_more_is_kept_than_stays_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_MOST_FORESEEN", 10)
    with Repository.init(str(tmp_path)) as repo:
        foreseen = Foreseen(repo)
        for count in range(1, 9):
            foreseen.see(listing(count))
        assert len(repo.measured) == 4


def test_what_was_foreseen_is_not_parsed_again(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the directories that hold nothing but small files no tree is parsed when the log comes."""
    parsed: list[bytes] = []
    parse = fetching.parse_as_tree

    def watch(id: bytes, payload: bytes) -> list[Entry]:
        entries = parse(id, payload)
        parsed.extend(entry.name for entry in entries)
        return entries

    monkeypatch.setattr(fetching, "parse_as_tree", watch)
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert b"1" in parsed
    assert b"9" not in parsed
