"""Counts what a piece of work costs, where time would tell of the machine: statements, steps of SQLite, listings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from replican.effects.index import Index

_LISTINGS = frozenset(["os.scandir", "os.listdir"])


class Counted:
    """What was done: SQL statements, steps of SQLite's machine (in tens), and directories listed."""

    def __init__(self) -> None:
        self.statements = 0
        self.steps = 0
        self.listings = 0


_counting: list[Counted] = []
_hooked = False


def _hear(event: str, _: object) -> None:
    if _counting and event in _LISTINGS:
        for counted in _counting:
            counted.listings += 1


@contextmanager
def counting(index: Index) -> Iterator[Counted]:
    """Count what is done with an open index, and the directories that this process lists."""
    global _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_hear)  # it cannot be taken back
    counted = Counted()
    connection = index._database.connection

    def statement(_: str) -> None:
        counted.statements += 1

    def step() -> int:
        counted.steps += 1
        return 0

    connection.set_trace_callback(statement)
    connection.set_progress_handler(step, 10)
    _counting.append(counted)
    try:
        yield counted
    finally:
        _counting.remove(counted)
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 0)
