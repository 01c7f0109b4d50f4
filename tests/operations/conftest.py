"""What the tests of this folder share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import write
from followed import Watched
from linked import Link
from worlds import KINDS, World

from replican.effects.channel import Channel
from replican.operations import remotes
from replican.values import messages


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A folder with a remote, of each kind in turn."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    monkeypatch.setenv("REPLICAN_SSH", str(false_ssh(tmp_path)))
    return World(tmp_path, KINDS[request.param])


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some files, which is at the far end of whatever link is begun."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    root = tmp_path / "there"
    for number in range(60):
        write(root / f"{number % 5}/{number}", b"%d" % number * number)
    write(root / "1/deep/er", b"")
    write(root / "2/deep/er", b"d")
    write(root / "top", b"t")
    os.chmod(write(root / "tool", b"#!/bin/sh\n"), 0o750)
    os.symlink("top", root / "3/link")
    monkeypatch.setattr(remotes, "start", lambda *_: Link(root))
    return root


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A folder that a tracker follows."""
    watched = Watched(tmp_path / "root")
    yield watched
    watched.tracker.close()
    watched.repo.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[messages.Item]:
    """What was asked for by its id."""
    items: list[messages.Item] = []
    send = Channel.send

    def watch(channel: Channel, message: messages.Message) -> None:
        if isinstance(message, messages.WantContents):
            items.extend(message.items)
        send(channel, message)

    monkeypatch.setattr(Channel, "send", watch)
    return items
