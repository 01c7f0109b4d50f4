"""Nothing waits for the disk, in this process and in those that it forks: no power is cut there.

What is flushed, and when, is shown of programs that run by themselves (test_flushes, test_power_cuts, test_faults), and
by tests that put a flush of their own in the place of these, which count as before.
"""

import errno
import fcntl
import os
import sqlite3
from contextlib import suppress
from typing import Any

import pytest

from replican.effects import linux

_BY_NAME = os.O_PATH if hasattr(os, "O_PATH") else 0


class _Unflushed(sqlite3.Connection):
    """Leaves it to the kernel when its writes reach the disk, whatever it is told."""

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement.startswith("PRAGMA synchronous"):
            statement = "PRAGMA synchronous = OFF"
        elif statement.startswith("PRAGMA journal_mode"):  # by now it is known for a database
            super().execute("PRAGMA synchronous = OFF")
        return super().execute(statement, *parameters)

    def close(self) -> None:
        with suppress(sqlite3.Error):  # what is damaged says so here, too
            self.rollback()
            super().execute("PRAGMA synchronous = OFF")  # the last one puts the log into the database
        super().close()


def _flush(fd: Any) -> int:
    """Fails where a flush would: where nothing is open, or only by its name."""
    if fcntl.fcntl(fd, fcntl.F_GETFL) & _BY_NAME:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return 0


def unflushed(patch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def connected(*args: Any, **named: Any) -> sqlite3.Connection:
        return connect(*args, **{"factory": _Unflushed, **named})

    patch.setattr(os, "fsync", _flush)
    patch.setattr(os, "fdatasync", _flush)
    patch.setattr(linux, "_syncfs", _flush)
    patch.setattr(sqlite3, "connect", connected)
