"""A command in a process of its own that is killed in the middle; before that, a user may act while it stands still."""

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from machine import Machine


class BrokenOffError(AssertionError):
    """The command ended with an exception that no command may end with; its traceback."""


class Moments(NamedTuple):
    """When it dies, in steps of the machine; with an edit, in steps after that."""

    kill: int
    edit: int | None = None


def killed(machine: Machine, do: Callable[[], str], moments: Moments, act: Callable[[], None]) -> str | None:
    """How it ended, in words; None if it was killed: then ``machine.noted`` is what it was about to change.

    ``act`` is done here, in the process of the users, while the command waits in its own.
    """
    told_fd, tell_fd = os.pipe()
    go_on_fd, let_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        _in_child(machine, do, moments, tell_fd, go_on_fd)
    os.close(tell_fd)
    os.close(go_on_fd)
    try:
        with os.fdopen(told_fd, "rb") as told:
            what, said = _listen(told)
            if what == "edit":
                act()
                os.write(let_fd, b".")
                what, said = _listen(told)
    finally:
        os.close(let_fd)
        os.waitpid(pid, 0)
    if what == "broke off":
        raise BrokenOffError(said)
    if what == "ended":
        return str(said)
    machine.noted = said
    return None


def _listen(told: BinaryIO) -> tuple[str, Any]:
    what, said = pickle.load(told)
    return what, said


def _in_child(machine: Machine, do: Callable[[], str], moments: Moments, tell_fd: int, go_on_fd: int) -> None:
    def tell(what: str, said: object) -> None:
        os.write(tell_fd, pickle.dumps((what, said)))

    def die() -> None:
        """A kill, but that it leaves word of what was going on."""
        tell("killed", machine.noted)
        os._exit(0)

    def edit() -> None:
        tell("edit", None)
        os.read(go_on_fd, 1)
        machine.fire, machine.countdown = die, moments.kill

    try:
        machine.fire, machine.countdown = (die, moments.kill) if moments.edit is None else (edit, moments.edit)
        tell("ended", do())
    except BaseException:
        tell("broke off", traceback.format_exc()[-4000:])
    finally:
        os._exit(0)
