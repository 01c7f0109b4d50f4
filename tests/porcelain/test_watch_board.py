"""The lines that stay below the events of a watch, on a terminal."""

import re

from replican.porcelain._board import Board
from replican.values import events
from replican.values.ids import CheckpointId

HEAD = CheckpointId(bytes(32))
NONE = events.Counts()
AT = 1_700_000_000 * 10**9


def screen(shown: list[bytes]) -> list[str]:
    """What is to be seen after all that was written."""
    rows: list[str] = []
    for piece in shown:
        match = re.match(rb"\x1b\[(\d+)A\x1b\[J", piece)
        if match is not None:
            rows = rows[: len(rows) - int(match[1])]
            piece = piece[match.end() :]
        assert b"\x1b" not in piece
        rows += piece.decode().split("\n")[:-1]
    return rows


def synced(pending: int = 0, received: int | None = None) -> events.Synced:
    return events.Synced(AT, "disk", HEAD, True, events.Counts(1), NONE, 0, pending, received, received, 0.5)


def test_one_line_for_each_remote_stays_below_the_events() -> None:
    board = Board()
    told = [
        events.Started(AT, b"/folder", "ab", 7, "1", ("disk", "laptop")),
        events.RemoteFound(AT, "disk", "/mnt/disk"),
        events.Syncing(AT, "disk"),
        synced(pending=2, received=1000),
        events.RemoteLost(AT, "laptop", "remote", "no route", "is it on?", 2.0),
    ]
    rows = screen([board.show(event, 200) for event in told])
    assert [row[9:] for row in rows[:4]] == [event.line() for event in told if event.level != "debug"]
    assert rows[4] == ""
    assert re.fullmatch(r"  disk         in step     in step at \d\d:\d\d:\d\d   2 pending   4.0 kB/s", rows[5])
    assert rows[6] == "  laptop       lost        no route"
    assert len(rows) == 7


def test_nothing_stays_after_the_end() -> None:
    board = Board()
    shown = [board.show(events.Started(AT, b"/folder", "ab", 7, "1", ("disk",)), 80)]
    shown.append(board.show(events.Stopped(AT, "SIGINT"), 80))
    assert [row[9:] for row in screen(shown)] == ["started: /folder with disk", "stopped: SIGINT"]


def test_no_line_takes_two_rows_or_is_obeyed() -> None:
    board = Board()
    shown = [board.show(events.Started(AT, b"/folder", "ab", 7, "1", ("disk",)), 40)]
    shown.append(board.show(events.RemoteLost(AT, "disk", "remote", "\x1b[2J" + "x" * 100, None, None), 40))
    shown.append(board.show(events.Gate(AT, None, False, ("missing-mount",), "\x1b[2J\u202e was" * 9, None), 40))
    assert all(len(row) < 40 and "\u202e" not in row for row in screen(shown))


def test_a_pause_and_a_gate_are_to_be_seen() -> None:
    board = Board()
    shown = [board.show(events.Started(AT, b"/folder", "ab", 7, "1", ()), 200)]
    shown.append(board.show(events.Paused(AT, "asked to"), 200))
    shown.append(board.show(events.Gate(AT, None, False, ("mass-delete",), "40 files would be deleted", None), 200))
    assert screen(shown)[-2:] == ["  paused", "  gate closed: 40 files would be deleted"]
