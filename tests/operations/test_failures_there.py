"""What fails at the far end of a link is the remote's: it is named, it is no damage here, and what it says forges no
line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from folders import write
from lying import Told
from worlds import World

from replican.effects.config import RemoteSettings
from replican.operations import remotes
from replican.operations.checking import check
from replican.operations.linking import hello_of
from replican.operations.recording import record
from replican.operations.syncing import pull, push, sync
from replican.plumbing._front.exits import exit_code
from replican.repository import Repository
from replican.values import messages
from replican.values.early import end_of_early
from replican.values.errors import RefusedError, RemoteError, ReplicanError
from replican.values.frames import BYTES, PREAMBLE, encode_frame

EVIL = "evil\nreplican: \x1b[2Jall is well"
SHOWN = r"evil\nreplican: \033[2Jall is well"

Work = Callable[[Repository, str], object]
Outcome = Callable[..., ReplicanError | None]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What comes of some work with a remote that says this, after it has said hello."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    write(tmp_path / "here/mine", b"m")
    with Repository.init(str(tmp_path / "here")) as repo:
        repo.config.set_remote("origin", RemoteSettings("host:there"))
        record(repo)

    def work(do: Work, *said: messages.Message | bytes) -> ReplicanError | None:
        frames = [
            encode_frame(BYTES, each) if isinstance(each, bytes) else messages.encode_message(each) for each in said
        ]
        link = Told(PREAMBLE + messages.encode_message(hello_of("")) + b"".join(frames))
        monkeypatch.setattr(remotes, "start", lambda *_: link)
        with Repository(str(tmp_path / "here")) as repo:
            try:
                do(repo, "origin")
            except ReplicanError as error:
                return error
        return None

    return work


@pytest.mark.parametrize("do", [pull, sync, push])
def test_damage_there_is_no_damage_here(world: World, do: Work) -> None:
    world.start()
    write(world.there / "folder/more", b"more")
    world.record_there()
    for path in (world.there / ".replican/objects/loose").rglob("*"):
        if path.is_file():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(content)
    write(world.here / "letter", b"changed")
    write(world.there / "letter", b"changed there")
    with world.open() as repo:
        record(repo)
        with pytest.raises(RemoteError, match=r"^remote origin is damaged: ") as caught:
            do(repo, "origin")
        assert f"{world.there}" in str(caught.value.hint)
        assert check(repo, content=True).damage == []


CODES = {
    "damaged": 5,
    "missing-object": 5,
    "malformed": 5,
    "not-found": 5,
    "folder": 5,
    "locked": 7,
    "usage": 5,
    "what nobody knows": 5,
    "no-repository": 5,
    "protocol": 5,
    "link": 5,
    "refused": 3,
    "no-space": 3,
}
"""What a remote may say, and the exit code that comes of it."""


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("instead_of", ["recorded", "early files", "recorded after them", "pushed"])
def test_what_is_told_names_the_remote(told: Outcome, code: str, instead_of: str) -> None:
    failed = messages.Failed(code, EVIL, EVIL)
    do, said = {
        "recorded": (push, [failed]),
        "early files": (pull, [failed]),
        "recorded after them": (pull, [end_of_early(), failed]),
        "pushed": (push, [messages.Recorded(None), failed]),
    }[instead_of]
    error = told(do, *said)
    assert error is not None
    assert error.message.startswith("remote origin")
    assert SHOWN in error.message
    assert error.hint is not None
    assert "\n" not in error.message + error.hint
    assert "\x1b" not in error.message + error.hint
    assert exit_code(error) == CODES[code]


def test_only_gates_that_there_are_stand_closed(told: Outcome) -> None:
    """Their names go to hooks, and what opens them is told here."""
    gates = ["mass-delete", EVIL, "mass-delete", "emptied-root"]
    error = told(push, messages.Recorded(None), messages.Failed("refused", "no", "say --evil", gates))
    assert isinstance(error, RefusedError)
    assert error.gates == ("mass-delete", "emptied-root")
    assert error.flags == ()
    assert error.hint is not None
    assert "in the folder at host:there: `replican pull --allow-mass-delete R`" in error.hint
    for others in ([], [EVIL], ["pre-merge"], ["mass-delete", "no-room"]):
        error = told(push, messages.Recorded(None), messages.Failed("refused", "no", "as they say", others))
        assert error is not None
        assert error.hint == "as they say"


def test_what_is_told_is_clipped(told: Outcome) -> None:
    error = told(push, messages.Failed("refused", "e" * 4096))
    assert error is not None
    assert len(error.message) < 1100


def test_notes_name_the_remote(told: Outcome) -> None:
    problem = messages.Note(b"path", EVIL)
    recorded = messages.Recorded(None, notes=[EVIL, f"origin: {EVIL}"], unread=[problem])
    seen = []

    def look(repo: Repository, name: str) -> None:
        with remotes.opened_remote(repo, name) as remote:
            seen.append(remote.refresh())

    assert told(look, recorded) is None
    (refreshed,) = seen
    assert refreshed.notes == [f"origin: {SHOWN}"] * 2
    assert [each.cause for each in refreshed.unread] == [SHOWN]


def test_words_that_nobody_knows(told: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.hello_of", lambda _: messages.Hello(1, 1, required=[EVIL]))
    error = told(pull)
    assert error is not None
    assert SHOWN in error.message
