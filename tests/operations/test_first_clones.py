"""A first clone over a link: what is done while the other end is busy comes to the same as what is done in turn."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest
from folders import assert_equal, write
from linked import clone

from replican.effects.channel import Channel
from replican.effects.objects import ObjectStore
from replican.operations import serving
from replican.operations.recording import record
from replican.operations.sending import Sent
from replican.repository import Repository
from replican.values import messages
from replican.values.errors import DamagedError
from replican.values.ids import CheckpointId


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
