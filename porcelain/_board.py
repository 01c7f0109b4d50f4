"""What a watch shows on a terminal: the last events, and below them a line for each remote that stays."""

import time
from typing import Final

from replican.decisions.standing import RemoteStanding, Standing
from replican.values import events
from replican.values.progress import show_size
from replican.values.quoting import escape_terminal

_CLEAR: Final = b"\x1b[%dA\x1b[J"


def clock(time_ns: int) -> str:
    """A moment, by the clock on the wall."""
    return time.strftime("%H:%M:%S", time.localtime(time_ns // 10**9))


class Board:
    """Makes of each event what is to be written to a terminal of so many ``columns``."""

    def __init__(self) -> None:
        self._standing = Standing()
        self._rates: dict[str, str] = {}
        self._lines = 0

    def show(self, event: events.Event, columns: int) -> bytes:
        """The event as a line, unless it only matters for the lines that stay, and these lines anew."""
        self._standing = self._standing.after(event)
        if isinstance(event, events.Synced) and event.received is not None and event.sent is not None:
            self._rates[event.remote] = f"{show_size(round((event.received + event.sent) / event.seconds))}/s"
        above = _CLEAR % self._lines if self._lines else b""
        lines = [] if event.level == events.DEBUG else [f"{clock(event.time_ns)} {event.line()}"]
        staying = [] if isinstance(event, events.Stopped) else self._staying()
        self._lines = len(staying)
        return above + b"".join([_fit(line, columns) for line in [*lines, *staying]])

    def _staying(self) -> list[str]:
        remotes = [self._line_of(name, remote) for name, remote in self._standing.remotes]
        state = ["paused"] * self._standing.paused
        state += [f"gate closed: {self._standing.gate}"] * (self._standing.gate is not None)
        return ["", *[f"  {each}" for each in [*state, *remotes]]] if state or remotes else []

    def _line_of(self, name: str, remote: RemoteStanding) -> str:
        parts = [f"{name:<12} {remote.state:<9}"]
        if remote.synced_ns is not None:
            parts.append(f"in step at {clock(remote.synced_ns)}")
        parts += [f"{remote.pending} pending"] * bool(remote.pending)
        rate = self._rates.get(name)
        parts += [] if rate is None else [rate]
        parts += [remote.message] * bool(remote.message)
        return "   ".join(parts)


def _fit(line: str, columns: int) -> bytes:
    """A line that takes one row of the terminal, and no more, and has nothing in it that a terminal would obey."""
    return escape_terminal(line, keep="")[: max(1, columns - 1)].encode("utf-8", "backslashreplace") + b"\n"
