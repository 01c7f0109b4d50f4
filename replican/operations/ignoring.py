"""Which paths are ignored, and by which line of which file."""

import os
from typing import NamedTuple

from replican.effects.ignore import IGNORE_NAME, NO_RULES, Rules, read_rules
from replican.effects.worktree import DIRECTORY_FLAGS, open_root
from replican.repository import Repository
from replican.values.paths import ancestors_of, join, name_of, parent_of


class Verdict(NamedTuple):
    """The line that decides: the ignore file it is in, its number there (from 1), and what it says."""

    source: bytes
    number: int
    line: bytes


class Ignoring:
    """Answers for one folder; each ignore file is read once. A context manager."""

    def __init__(self, repo: Repository, *, ask_tracked: bool = False) -> None:
        """``ask_tracked`` asks the rules about tracked paths, too, which are never ignored otherwise."""
        self._index = repo.index
        self._ask_tracked = ask_tracked
        self._root = open_root(repo.root)
        self._rules: dict[bytes, Rules] = {}

    def __enter__(self) -> "Ignoring":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def verdict(self, path: bytes, is_directory: bool = False) -> Verdict | None:
        """Why ``path`` is ignored; None if it is not. It need not be there: ``is_directory`` says what it would be."""
        names = [*reversed(ancestors_of(path)[:-1]), path] if path else []
        for at in names:
            row = self._index.row(at)
            if row is not None and row.is_unit and at != path:
                return None  # it is whole: nothing in it is ignored
            if not self._ask_tracked and row is not None:
                continue
            above = parent_of(at)
            is_one = at != path or is_directory or self._is_directory(at)
            reason = self._rules_of(above).explain(name_of(at), is_one)
            if reason is not None:
                for _ in range(reason.above):
                    above = parent_of(above)
                return Verdict(join(above, IGNORE_NAME.encode()), reason.number, reason.line)
        return None

    def _rules_of(self, directory: bytes) -> Rules:
        """The rules that hold in a directory, which need not be there."""
        found = self._rules.get(directory)
        if found is None:
            fd = self._open(directory)
            text = None if fd is None else read_rules(fd)
            if fd is not None:
                os.close(fd)
            if directory:
                found = self._rules_of(parent_of(directory)).below(name_of(directory), text)
            else:
                found = NO_RULES if text is None else Rules(None, b"", text)
            self._rules[directory] = found
        return found

    def _is_directory(self, path: bytes) -> bool:
        fd = self._open(path)
        if fd is not None:
            os.close(fd)
        return fd is not None

    def _open(self, directory: bytes) -> int | None:
        """A descriptor of a directory, never through a link; None if there is none."""
        fd = os.dup(self._root)
        try:
            for part in directory.split(b"/") if directory else ():
                below = os.open(part, DIRECTORY_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = below
        except OSError:
            os.close(fd)
            return None
        return fd
