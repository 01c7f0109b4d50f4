"""What long work reports while it goes on, and what it met on the way. The library reports; a front shows."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

UNREAD: Final = "large, and not read yet"
HOLDS_UNREAD: Final = "not all of it is read yet"
MOVED: Final = "moved, and not read yet"
PUT_OFF: Final = frozenset([UNREAD, HOLDS_UNREAD, MOVED])
"""The causes of what is not amiss: a large file is read beside, and what belongs to it waits for that."""


class Problem(NamedTuple):
    """One path that could not be read or written: what the rest of the work went on without.

    ``cause`` is a short lower-case text: ``permission denied``, ``special file``, ``nested replica``,
    ``changed while read``, ``changed here``, ``no source``, ``name too long`` and the like.
    ``held`` marks what this file system can never hold; ``known``, that it was so before this command, which is told
    once only.
    """

    path: bytes
    cause: str
    held: bool = False
    known: bool = False


def show_size(count: int) -> str:
    """A number of bytes for people: ``617 bytes``, ``1.2 kB``, ``34.5 MB``."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    size, units = count / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 999.95 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f} {units[0]}"


class Traffic(NamedTuple):
    """What has gone over a link, at this end of it: bytes on the wire each way, frames and all; bytes of content that
    was wanted and did not have to come, since it was here already; how many contents came or went; and in how many
    seconds."""

    received: int
    sent: int
    saved: int
    files: int
    seconds: float

    @property
    def rate(self) -> int:
        """Bytes a second, both ways together."""
        return int((self.received + self.sent) / self.seconds) if self.seconds > 0 else 0

    def words(self) -> str:
        """On one line: what is nothing is left out, and the rate of what was over at once."""
        parts = [f"{show_size(self.received)} received", f"{show_size(self.sent)} sent"]
        parts += [f"{show_size(self.saved)} saved"] * bool(self.saved)
        if self.files:
            parts.append("1 file" if self.files == 1 else f"{self.files:,} files")
            parts.append(f"{show_size(self.rate)}/s")
        return ", ".join(parts)


def together(links: Iterable[Traffic]) -> Traffic | None:
    """What has gone over several links in the same time; None where there are none."""
    found = list(links)
    if not found:
        return None
    received, sent, saved, files = [sum(counts) for counts in zip(*[each[:4] for each in found], strict=True)]
    return Traffic(received, sent, saved, files, max([each.seconds for each in found]))


def told_wire(wire: Traffic | None) -> dict[str, int | float] | None:
    """What went over the wire, as ``--json`` has it: bytes, contents, seconds, and bytes a second."""
    return None if wire is None else {**wire._asdict(), "seconds": round(wire.seconds, 3), "rate": wire.rate}


class Progress(Protocol):
    """A sink for progress. One task at a time; ``files`` and ``size`` (bytes) are totals where known.

    ``wire`` tells, whenever it is asked, what has gone over the link that the task uses.
    """

    def begin(
        self,
        task: str,
        files: int | None = None,
        size: int | None = None,
        *,
        wire: Callable[[], Traffic] | None = None,
    ) -> None: ...

    def advance(self, files: int = 0, size: int = 0) -> None: ...

    def end(self) -> None: ...


class Silent:
    """Progress that nobody watches."""

    def begin(
        self,
        task: str,
        files: int | None = None,
        size: int | None = None,
        *,
        wire: Callable[[], Traffic] | None = None,
    ) -> None:
        pass

    def advance(self, files: int = 0, size: int = 0) -> None:
        pass

    def end(self) -> None:
        pass
