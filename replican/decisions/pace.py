"""Pace: when a folder is looked at next, when what changed is recorded, when a remote is tried again.

Nothing here reads a clock or draws lots: every time is given, in seconds of one clock that never goes back, and every
chance as a number from 0 to below 1. Each state is a value; what happens makes another of it.
"""

from typing import Final, NamedTuple

# -- polling ----------------------------------------------------------------------------------------------------------

SPREAD: Final = 0.1
"""Periods vary by so much of themselves, lest many folders of one disk be walked at the same moment."""
FASTER: Final = 0.25
SLOWER: Final = 1.5
SHARE: Final = 0.005
"""A poller takes no more of its time than this, as far as the bounds let it."""
MOST_SHARE: Final = 0.1
"""... and no more than this, whatever they say."""


class Bounds(NamedTuple):
    """What the owner of a folder allows: the shortest and the longest period of quick rounds, and that of full ones;
    in s."""

    least: float = 2.0
    most: float = 60.0
    full: float = 900.0


class Round(NamedTuple):
    """The next round: when it is due, and whether it is a full one."""

    at: float
    full: bool


class Polling(NamedTuple):
    """When to poll. ``period`` is that of quick rounds now, ``quick_at`` and ``full_at`` are when the next are due."""

    bounds: Bounds
    period: float
    quick_at: float
    full_at: float

    @classmethod
    def begin(cls, bounds: Bounds, now: float) -> "Polling":
        """The pace of a poller that has looked at nothing yet: a full round is due at once."""
        return cls(bounds, bounds.least, now, now)

    @property
    def next(self) -> Round:
        """A full round does what a quick one does, too."""
        full = self.full_at <= self.quick_at
        return Round(self.full_at if full else self.quick_at, full)

    def not_before(self, at: float) -> "Polling":
        """The same, with nothing due before ``at``: now it could not be done."""
        return self._replace(quick_at=max(self.quick_at, at), full_at=max(self.full_at, at))

    def after(self, done: Round, began: float, ended: float, found: int, chance: float) -> "Polling":
        """The pace after a round that found so many changed paths: much sooner where there were any, a little later
        where there were none."""
        least, most, full = self.bounds
        period = self.period * (FASTER if found else SLOWER)
        period = min(max(period, least), max(least, most))
        cost = max(0.0, ended - began)
        if done.full:
            full_at = ended + jittered(_bearable(full, cost, full), chance)
            return Polling(self.bounds, period, ended + jittered(_bearable(period, 0.0, most), chance), full_at)
        quick_at = ended + jittered(_bearable(period, cost, most), chance)
        return Polling(self.bounds, period, quick_at, max(self.full_at, ended + _bearable(0.0, cost, 0.0)))


def _bearable(period: float, cost: float, most: float) -> float:
    """A period in which a round of that cost takes a small share of the time; above ``most`` only where it would take
    a large one."""
    return max(period, min(cost / SHARE, most), cost / MOST_SHARE)


def jittered(period: float, chance: float) -> float:
    """``period``, a little more or less: within :data:`SPREAD` of it."""
    return period * (1 - SPREAD + 2 * SPREAD * chance)


# -- recording --------------------------------------------------------------------------------------------------------

LONGEST: Final = 2.0
"""No change waits longer than this for the folder to come to rest."""
FIRST: Final = 0.05
DELETED: Final = 0.5
"""How long a folder has been still before a deletion is recorded: many may be under way."""
FREE: Final = 100
"""So many checkpoints in a row are made at once."""
DRAIN: Final = 0.5
"""... and one of them is forgiven every two seconds: in the long run, constant change makes one in each."""


class Quiet(NamedTuple):
    """When to record what has changed: at once, unless changes keep coming.

    There are two ways in which they do. Changes come while the last ones are being recorded (an archive is unpacked):
    then the folder has to be still for a while, twice as long each time. Or they come one by one for a long time (a
    program writes a line to a file every now and then): then ``load`` grows, which is the number of checkpoints made
    lately.
    """

    period: float = 0.0
    load: float = 0.0
    loaded_at: float = 0.0
    first: float | None = None
    last: float = 0.0
    deleted: float | None = None
    recording: bool = False

    def changed(self, now: float, *, deleted: bool = False) -> "Quiet":
        """Something has changed, or (``deleted``) went without coming back under another name."""
        period = self.period
        if self.recording and self.first is None:
            period = min(max(2 * period, FIRST), LONGEST)
        first = now if self.first is None else self.first
        return self._replace(period=period, first=first, last=now, deleted=now if deleted else self.deleted)

    @property
    def due(self) -> float | None:
        """When to record; None where nothing has changed, or what did is being recorded."""
        if self.first is None or self.recording:
            return None
        load = self._load_at(self.first)
        by_load = LONGEST * min(1.0, max(0.0, load - FREE) / FREE)
        still = self.last + max(self.period, by_load)
        if self.deleted is not None:
            still = max(still, self.deleted + DELETED)
        return min(still, self.first + LONGEST)

    def begin(self, now: float) -> "Quiet":
        """What has changed so far is being recorded from now on."""
        return self._replace(load=self._load_at(now) + 1, loaded_at=now, first=None, deleted=None, recording=True)

    def end(self, made: bool = True) -> "Quiet":
        """It has been recorded, and a checkpoint ``made`` of it, if it was not what a merge wrote. Unless something has
        changed meanwhile, changes do not keep coming any more."""
        load = self.load if made else max(0.0, self.load - 1)
        return self._replace(recording=False, load=load, period=0.0 if self.first is None else self.period)

    def _load_at(self, now: float) -> float:
        return max(0.0, self.load - DRAIN * max(0.0, now - self.loaded_at))


# -- remotes ----------------------------------------------------------------------------------------------------------

RETRY_FIRST: Final = 1.0
RETRY_MOST: Final = 300.0


def retry_after(failures: int, chance: float, first: float = RETRY_FIRST, most: float = RETRY_MOST) -> float:
    """In how many s to try again what failed so many times in a row (from 1): twice as long each time, up to ``most``.

    Between half of that and all of it, by ``chance``: all who lost one remote do not come back at one moment.
    """
    doublings = min(max(failures, 1) - 1, 64)  # a power of two that a float holds, after years of failures, too
    return min(most, first * 2.0**doublings) * (0.5 + 0.5 * chance)
