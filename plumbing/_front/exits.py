"""How a command ends: the one place where errors become text, hints, JSON and exit codes."""

import os
import sys
from collections.abc import Callable
from typing import Final

from replican.plumbing._front import output
from replican.values import errors

DONE: Final = 0
DIFFERENT: Final = 1
"""Differences, none, no such object or ref: what ``--exit-code``, ``-e``, ``--verify``, ``--is-ancestor`` ask for."""
USAGE: Final = 2
REFUSED: Final = 3
"""A gate is closed, or a disk full."""
PENDING: Final = 4
"""Some paths could not be read or written; the rest is done."""
BUG: Final = 70
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
"""As a shell shows the end of a program whose reader went away; nothing is said."""

EXIT_CODES: Final[dict[type[errors.ReplicanError], int]] = {
    errors.ReplicanError: BUG,
    errors.UsageError: USAGE,
    errors.NotFoundError: 1,
    errors.MissingObjectError: 6,
    errors.MovedError: 1,
    errors.RefusedError: REFUSED,
    errors.UnsupportedError: REFUSED,
    errors.FolderError: PENDING,
    errors.RemoteError: 5,
    errors.BusyError: 7,
    errors.DamagedError: 6,
    errors.LockedError: 7,
    errors.NoRepositoryError: 8,
}
"""The exit code of each class of errors; a class that is not here has that of its nearest parent."""


def exit_code(error: errors.ReplicanError) -> int:
    """The exit code that ``error`` ends the process with."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def guard(work: Callable[[], int], *, json: bool) -> int:
    """Run ``work`` and make an exit code of however it ends. ``json`` also shows an error as JSON, on stderr."""
    _open_standard_streams()
    try:
        code = work()
        output.flush()
        return code
    except KeyboardInterrupt:
        drop_output()
        output.say("replican: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return CLOSED_PIPE
    except Exception as error:
        return _report(error, json)


def show_error(error: errors.ReplicanError, *, json: bool) -> None:
    """Show an error on stderr: what is wrong, then what to do, then both as JSON where that is wanted."""
    output.say(f"replican: {error.message}")
    if error.hint:
        output.say("\n".join([f"hint: {line}" for line in error.hint.splitlines()]))
    if json:
        import json as codec

        known = {"code": error.code, "message": error.message, "hint": error.hint}
        output.say(codec.dumps({"error": known}))


def _report(error: Exception, json: bool) -> int:
    known = _from_system(error) if isinstance(error, OSError) else error
    if not isinstance(known, errors.ReplicanError):
        known = _bug(error)
    try:
        output.flush()  # what came before the error is a result, too
    except OSError:
        drop_output()
    show_error(known, json=json)
    from replican.settings import show_traceback

    if show_traceback():
        import traceback

        output.say("".join(traceback.format_exception(error)).rstrip())
    return exit_code(known)


def _from_system(error: OSError) -> errors.ReplicanError:
    """An error of the system that nothing below made a better one of."""
    import errno

    reason = (error.strerror or type(error).__name__).lower()
    named = isinstance(error.filename, (str, bytes))  # a call on a descriptor has its number there
    where = f": '{os.fsdecode(error.filename)}'" if named else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.NoSpaceError(
            f"{reason}{where}", "make room, then run the same command again: it goes on from there"
        )
    if error.errno == errno.ENOENT and not named:  # so says who asks where this is
        try:
            os.getcwd()
        except FileNotFoundError:
            return errors.NoRepositoryError("the current folder is gone")
    hint = "set REPLICAN_TRACEBACK=1 to see where" if not named else None
    return errors.FolderError(f"{reason}{where}", hint)


def _bug(error: Exception) -> errors.ReplicanError:
    """An error that nobody expected: told in a line, its traceback kept in a file."""
    import tempfile
    import traceback

    hint = "set REPLICAN_TRACEBACK=1 to see where, and please report it"
    try:
        handle, name = tempfile.mkstemp(prefix="replican-", suffix=".traceback")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)))
        hint = f"please report it, with {name}"
    except OSError:
        pass  # no room for it: the hint says how to see it
    return BugError(f"this is a bug: {type(error).__name__}: {error}", hint)


class BugError(errors.ReplicanError):
    """Something that replican did not expect."""

    code = "bug"


def _open_standard_streams() -> None:
    """Give a closed stdin, stdout or stderr a place, lest the next opened file be taken for it."""
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != fd:
                os.dup2(opened, fd)
                os.close(opened)
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open


def drop_output() -> None:
    """Lead what is left in the buffers nowhere, so that the interpreter does not try, and complain, at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
