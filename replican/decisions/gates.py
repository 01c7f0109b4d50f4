"""Gates: named safety checks before a folder, or a log, loses a lot. Predicates on plain numbers.

Each returns the gate that stands closed, or None. What to do about it is the caller's: collect what is closed,
and let :func:`pass_gates` speak.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from replican.values.errors import NoSpaceError, RefusedError
from replican.values.hooks import PRE_MERGE

ALLOW_MASS_DELETE: Final = "--allow-mass-delete"
ALLOW_MISSING_MOUNT: Final = "--allow-missing-mount"
ALLOW_UNRELATED: Final = "--allow-unrelated"

FLAGS: Final[Mapping[str, str | None]] = {
    "emptied-root": ALLOW_MASS_DELETE,
    "mass-delete": ALLOW_MASS_DELETE,
    "missing-mount": ALLOW_MISSING_MOUNT,
    "no-room": None,
    "no-inodes": None,
    "unrelated-histories": ALLOW_UNRELATED,
    PRE_MERGE: None,
}
"""All gates, each with the flag that opens it; None where nothing typed can."""

MASS: Final = 20
"""No more files than this are never a mass."""
WINDOW_NS: Final = 600 * 1_000_000_000
"""For how long the largest size of a folder counts, in ns."""


class Gate(NamedTuple):
    """A closed gate. ``flag`` opens it; None where nothing typed here can."""

    name: str
    flag: str | None
    message: str


def emptied_root(before: int, after: int) -> Gate | None:
    """The folder had files, and has none: an unmounted disk looks like that."""
    if before > 0 and after == 0:
        return Gate("emptied-root", ALLOW_MASS_DELETE, f"the folder has been emptied ({_files(before)} before)")
    return None


def mass_delete(deleted: int, before: int, after: int, largest: int = 0) -> Gate | None:
    """More than half of the files, and more than :data:`MASS`, go at once, or went within the window.

    ``deleted`` are the files that go and whose content comes nowhere else; ``before`` and ``after`` are the folder's
    files; ``largest`` is the most that it had within :data:`WINDOW_NS`, or since the flag was last given.
    """
    largest = max(largest, before)
    trickled = largest - after
    if deleted > MASS and 2 * deleted > before:
        return Gate("mass-delete", ALLOW_MASS_DELETE, f"{deleted} of {_files(before)} would be deleted")
    if trickled > MASS and 2 * trickled > largest:
        return Gate(
            "mass-delete",
            ALLOW_MASS_DELETE,
            f"{trickled} of {_files(largest)} would be gone compared with ten minutes ago",
        )
    return None


def missing_mount(gone: Collection[str]) -> Gate | None:
    """Places below the root that were mount points are not any more. ``gone`` are their paths, fit to be shown."""
    if not gone:
        return None
    first, *more = sorted(gone)
    rest = f" and {len(more)} more" if more else ""
    return Gate("missing-mount", ALLOW_MISSING_MOUNT, f"{first}{rest} was a mount point and is none now")


def no_room(needed: int, free: int) -> Gate | None:
    """The disk has less room than what is to be written needs, in bytes."""
    if needed <= free:
        return None
    return Gate("no-room", None, f"the disk has {free} bytes free, and {needed} are needed")


def no_inodes(needed: int, free: int) -> Gate | None:
    """The disk can have fewer files and directories more than are to come."""
    if needed <= free:
        return None
    return Gate("no-inodes", None, f"the disk can hold {free} more files and directories, and {needed} are to come")


def unrelated_histories(related: bool, merged_before: bool) -> Gate | None:
    """The histories have nothing in common, though they once had: a union would bring back all that was deleted."""
    if related or not merged_before:
        return None
    return Gate(
        "unrelated-histories",
        ALLOW_UNRELATED,
        "this remote's history has nothing in common with ours, though it once had",
    )


def pass_gates(gates: Iterable[Gate | None], allowed: Collection[str]) -> None:
    """Raise ``RefusedError`` (``NoSpaceError`` for lack of room) where a gate is closed and its flag not in
    ``allowed``; the hint names every flag that is missing."""
    closed = [gate for gate in gates if gate is not None and gate.flag not in allowed]
    if not closed:
        return
    message = "; ".join(gate.message for gate in closed)
    names = tuple(gate.name for gate in closed)
    if any(gate.flag is None for gate in closed):
        raise NoSpaceError(message, "make room, and do the same again", names)
    flags = tuple(dict.fromkeys(gate.flag for gate in closed if gate.flag is not None))
    raise RefusedError(message, f"if that is meant, say {' '.join(flags)}", names, flags)


def flags_of(gates: Iterable[str]) -> tuple[str, ...]:
    """The flags that open these gates, which are known; none, where for one of them there is none."""
    flags = [FLAGS[gate] for gate in gates]
    return () if None in flags else tuple(dict.fromkeys(flag for flag in flags if flag is not None))


def hint_of(error: RefusedError, *command: str) -> str | None:
    """The hint of an error for whoever typed no command that could be given flags: ``command`` with them, its first
    word before and the others behind them."""
    if not error.flags:
        return error.hint
    return f"if that is meant: `replican {' '.join([command[0], *error.flags, *command[1:]])}`"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
