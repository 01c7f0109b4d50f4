"""Units: a look at each of them by itself, and what comes of it is seen only where all of it is at rest."""

import time
from collections.abc import Sequence
from typing import Final

from replican.effects.hashing import PuttingOff
from replican.effects.index import ASIDE, DirRecord
from replican.effects.observe import observe_paths
from replican.effects.scan import Scan
from replican.effects.units import STILL_CHANGING, restless
from replican.repository import Repository
from replican.values.listing import encode_listing
from replican.values.paths import is_below
from replican.values.progress import HOLDS_UNREAD, UNREAD, Problem

_MS: Final = 1_000_000


def look_at_units(
    repo: Repository, first: Scan, *, full: bool = False, wait: bool = True, putting_off: PuttingOff | None = None
) -> Scan:
    """Look at the units that ``first`` has left, which the index has to hold already; both together.

    What is not at rest stands as it was known, and is a problem; so it is where ``putting_off`` leaves out something,
    which is a problem, too. With ``wait``, it is given one more look when it could have come to rest. The result has
    yet to be noted in the index.
    """
    quiet_ns = repo.config.number("units.quiet_ms") * _MS
    units, problems = list(first.units), [*first.problems]
    unread: set[Problem] = set()
    while True:
        seen = observe_paths(repo.root, repo.index, units, progress=repo.progress, full=full, putting_off=putting_off)
        unread.update([each for each in seen.problems if each.cause == UNREAD])
        good, moving, causes = _sorted_out(repo, seen, units, quiet_ns)
        if moving and wait:
            wait = False
            time.sleep(quiet_ns / 1e9)
        elif moving:
            problems += [Problem(unit, causes.get(unit, STILL_CHANGING)) for unit in moving]
            units = good
        else:
            break
    return first._replace(
        changed={**first.changed, **seen.changed},
        gone=sorted({*first.gone, *seen.gone}),
        root=seen.root,
        payloads={**first.payloads, **seen.payloads},
        problems=sorted({*problems, *unread}),
        skipped=sorted({*first.skipped, *seen.skipped}),
        pairs=None,
        files=None if seen.changed or seen.gone else first.files,
        size=None if seen.changed or seen.gone else first.size,
        hashed_files=first.hashed_files + seen.hashed_files,
        hashed_size=first.hashed_size + seen.hashed_size,
        births=seen.births,
    )


def _sorted_out(
    repo: Repository, seen: Scan, units: Sequence[bytes], quiet_ns: int
) -> tuple[list[bytes], list[bytes], dict[bytes, str]]:
    """The units that may be recorded, those that may not, and why, where it is not that they change."""
    causes = {
        unit: HOLDS_UNREAD if each.cause == UNREAD else each.cause
        for each in seen.problems
        for unit in units
        if is_below(each.path, unit)
    }
    new = [*seen.changed, *seen.gone]
    dirty = [unit for unit in units if unit not in causes and any(is_below(path, unit) for path in new)]

    def record_of(path: bytes) -> DirRecord | None:
        found = seen.changed.get(path) or repo.index.record(path)
        if found is None and repo.index.known(path, aside=True) is not None:
            return DirRecord(path, ASIDE, None, 0, False, encode_listing(()))
        return found

    left = {*restless(repo.root, dirty, record_of, time.time_ns(), quiet_ns), *causes}
    return [unit for unit in units if unit not in left], [unit for unit in units if unit in left], causes
