"""How often an asker waits for an answer: over a slow link each time is felt."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import assert_equal, write

from replican.effects.channel import Channel
from replican.effects.config import RemoteSettings
from replican.operations.recording import record
from replican.operations.syncing import pull, push, sync
from replican.repository import Repository
from replican.values.frames import Frame


class Counter:
    """Counts how often something was heard after something had been said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events = ""
        write_, frame_ = Channel._write, Channel._frame

        def _write(channel: Channel, data: bytes) -> None:
            self.events += "w"
            write_(channel, data)

        def _frame(channel: Channel) -> Frame:
            self.events += "r"
            return frame_(channel)

        monkeypatch.setattr(Channel, "_write", _write)
        monkeypatch.setattr(Channel, "_frame", _frame)

    def take(self) -> int:
        count, self.events = self.events.count("wr"), ""
        return count


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_SSH", str(false_ssh(tmp_path)))
    there, here = tmp_path / "there", tmp_path / "here"
    Repository.init(str(there)).close()
    for number in range(700):
        write(there / f"{number % 9}/{number}", b"%d" % number)
    with Repository.init(str(here)) as repo:
        repo.config.set_remote("origin", RemoteSettings(f"host:{there}"))
        pull(repo, "origin")
    assert_equal(there, here)
    yield there, here
    assert_equal(there, here)


def test_nothing_to_do(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, here = folders
    with Repository(str(here)) as repo:
        counter = Counter(monkeypatch)
        sync(repo, "origin")
        assert counter.take() == 1
        pull(repo, "origin")
        assert counter.take() == 1


def test_one_file_changed(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    there, here = folders
    with Repository(str(here)) as repo:
        counter = Counter(monkeypatch)
        write(there / "0/0", b"changed")
        sync(repo, "origin")
        assert counter.take() == 3, "what is recorded, the log above, content"
        write(here / "1/1", b"changed here")
        sync(repo, "origin")
        assert counter.take() == 3, "what is recorded, what a push asks for, what it came to"
        write(here / "2/2", b"again")
        record(repo)
        push(repo, "origin")
        assert counter.take() == 3
        for number in range(700):
            write(there / f"{number % 9}/{number}", b"new %d" % number)
        pull(repo, "origin")
        assert counter.take() <= 4, "contents are asked for ahead"
