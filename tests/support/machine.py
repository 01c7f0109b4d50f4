"""The machine under a history: it stops in the middle of a command, lets a user act there, and refuses names.

Counted as steps are the calls that change a file, before and after each, and what is told to the index, the log and
the refs.
"""

import errno
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from replican.effects import arrivals, knowing, placing, recovery, swapping, transition, trash, unswapping
from replican.effects.index import Index
from replican.effects.objects import ObjectStore
from replican.effects.refs import RefStore
from replican.values.journal import JournalEntry

FILE_CALLS = ("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "symlink", "link", "chmod", "utime")
TOLD = (
    (Index, ("note_journal", "rebase", "observe", "promise", "promote", "set_pending", "add_trash", "settle")),
    (ObjectStore, ("add",)),
    (RefStore, ("update",)),
)
POINTS = (
    "exchange", "rename_new", "set_mode", "add_trash", "rebase", "set_pending",
    "observe", "settle", "promise", "promote", "add", "update", "unlink",
)  # fmt: skip
"""Calls beside which something may happen."""


def moment(rng: random.Random, early: float) -> tuple[str, int]:
    """After a call of which name something is to happen (any, where there is none), and how many steps after it; with
    ``early``, as often as that, at any step of all."""
    what = rng.random()
    if what < early:
        return "", int(2 ** rng.uniform(0, 6.5))
    if what < early + (1 - early) * 0.3:
        return rng.choice(POINTS), rng.randrange(4)
    return "note_journal", rng.randrange(14)


class Machine:
    """``countdown`` steps from now ``fire`` is called, once; with ``waiting``, from the next call of that name on.

    ``refused`` are absolute paths that cannot be changed, and directories of which no name can be; ``unreadable`` are
    files and directories that cannot be opened. ``noted`` is, for each index, what transitions said they were about to
    change, and not yet that they had: its journal, whether or not that was written.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.countdown: int | None = None
        self.waiting = ""
        self.fire: Callable[[], None] = lambda: None
        self.refused: set[bytes] = set()
        self.unreadable: set[bytes] = set()
        self.steps = 0
        self.noted: dict[str, list[JournalEntry]] = {}
        self._resting = False
        for module, names in (
            (transition, ("rename_new", "exchange", "set_mode")),
            (arrivals, ("rename_new", "set_mode")),
            (placing, ("rename_new", "set_mode", "set_mtime")),
            (trash, ("rename_new",)),
            (knowing, ("set_mode",)),
            (recovery, ("rename_new", "set_mode", "set_mtime")),
            (swapping, ("rename_new", "exchange", "remove_tree")),
            (unswapping, ("rename_new", "exchange")),
            (os, FILE_CALLS),
            *TOLD,
        ):
            for name in names:
                by_path = not isinstance(module, type)
                patch.setattr(module, name, self._wrapped(name, getattr(module, name), by_path))
        patch.setattr(os, "open", self._opening(os.open))

    def _wrapped(self, name: str, function: Callable[..., Any], by_path: bool) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if self._resting:
                return function(*args, **named)
            if name == self.waiting:
                self.waiting = ""
            self._step()
            if by_path and self.refused:
                self._check(args, named)
            result = function(*args, **named)
            if name == "note_journal":
                self.noted.setdefault(_file_of(args[0]), []).extend(args[1])
            elif name == "rebase":
                self.noted.pop(_file_of(args[0]), None)
            self._step()
            return result

        return call

    def _opening(self, function: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, *args: Any, **named: Any) -> int:
            if self.unreadable and not self._resting and _join(named.get("dir_fd"), path) in self.unreadable:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(path))
            return function(path, *args, **named)

        return call

    def _step(self) -> None:
        self.steps += 1
        if self.countdown is None or self.waiting:
            return
        self.countdown -= 1
        if self.countdown < 0:
            self.countdown = None
            self._resting = True
            try:
                self.fire()
            finally:
                self._resting = False

    def by_user(self, act: Callable[[], Any]) -> Any:
        """Run what no command does: not counted, nothing refused."""
        before, self._resting = self._resting, True
        try:
            return act()
        finally:
            self._resting = before

    def _check(self, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        paths: list[bytes] = []
        if len(args) >= 4 and isinstance(args[0], int):  # rename_new(fd, name, fd, name) and its like
            paths = [_join(args[0], args[1]), _join(args[2], args[3])]
        elif len(args) == 3 and isinstance(args[1], int):  # set_mode(name, fd, mode) and its like
            paths = [_join(args[1], args[0])]
        else:
            texts = [arg for arg in args[:2] if isinstance(arg, str | bytes)]
            places = [named.get("src_dir_fd", named.get("dir_fd")), named.get("dst_dir_fd", named.get("dir_fd"))]
            paths = [_join(place, text) for text, place in zip(texts, places, strict=False)]
        if any(path in self.refused or os.path.dirname(path) in self.refused for path in paths):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(paths[0]))


def _file_of(index: Index) -> str:
    return index._database._path


def _join(fd: int | None, name: str | bytes) -> bytes:
    path = os.fsencode(name)
    if path.startswith(b"/proc/self/fd/"):
        return os.readlink(path)
    return path if fd is None else os.path.join(os.readlink(b"/proc/self/fd/%d" % fd), path)
