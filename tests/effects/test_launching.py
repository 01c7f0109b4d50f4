"""The program at this end of a link: how it ends, what it says, and that others may go on using it."""

import os
import signal
from pathlib import Path

import pytest

from replican.effects import launching
from replican.effects.launching import Launched, Link
from replican.values.errors import LinkError


def shell(script: str) -> Launched:
    """A program that is called as ssh is: the last word is what runs over there."""
    return Launched(["sh", "-c", script, "far"])


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("echo no >&2; exit 127", "there is no replican", "is it installed there?"),
        ("echo no way >&2; exit 126", "what is there for replican cannot be run: no way", "serve_command"),
        ("exit 255", "sh ended with 255", "has to work without a question"),
        ("echo 'sh: a: Permission denied (publickey).' >&2; exit 255", "sh ended with 255: a: Permission", "the keys"),
        ("echo one >&2; echo two >&2; echo >&2; exit 3", "sh ended with 3 before anything was heard: two", None),
        ("echo replican: no >&2; echo hint: do >&2; exit 2", "sh ended with 2 before anything was heard: no$", "do"),
        ("kill -9 $$", "sh was ended by signal 9 before anything was heard", None),
        ("printf 'x\\033[2Jy' >&2; exit 3", r"sh ended with 3 before anything was heard: x\\033\[2Jy", None),
    ],
)
def test_how_it_ended(script: str, message: str, hint: str | None) -> None:
    error = Link(shell(script)).why_it_ended()
    with pytest.raises(LinkError, match=f"^{message}"):
        raise error
    assert error.hint is None if hint is None else hint in str(error.hint)


def test_what_it_says_is_passed_on_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    launched = shell("echo touch your key >&2; read answer; echo thanks >&2")
    link = Link(launched)
    said = ""
    while "key" not in said:
        said += capfd.readouterr().err
    link.close()
    assert capfd.readouterr().err == "thanks\n"


def test_all_that_it_says_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    Link(shell("seq 50000 >&2")).close()
    assert capfd.readouterr().err == "".join(f"{number}\n" for number in range(1, 50001))


def test_who_keeps_its_stderr_open_is_not_waited_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    error = Link(shell(f"echo said >&2; sleep 60 & echo $! > {tmp_path}/pid; exit 255")).why_it_ended()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert error.message == "sh ended with 255: said"
    assert capfd.readouterr().err == "said\n"


def test_one_that_others_use_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an ssh does by whose connection another one reaches the same machine."""
    monkeypatch.setattr(launching, "_PATIENCE_SECONDS", 0.2)
    launched = shell("exec sleep 60")
    Link(launched).close()
    assert launched.wait() is None
    (left,) = launching._left
    assert left.poll() is None
    left.kill()
    left.wait()
    shell("").drop()
    assert launching._left == []


def test_one_that_is_dead_does_not() -> None:
    launched = shell("exec sleep 60")
    link = Link(launched)
    link.channel.is_dead = True
    link.close()
    assert launched.wait() == -signal.SIGKILL


def test_one_that_was_never_spoken_to() -> None:
    launched = shell("exec sleep 60")
    launched.drop()
    assert launched.wait() == -signal.SIGTERM


def test_there_is_none() -> None:
    with pytest.raises(LinkError, match="cannot run /no/such ssh: no such file or directory"):
        Launched(["/no/such ssh", "host", "far"])
