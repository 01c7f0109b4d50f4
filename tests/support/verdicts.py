"""What a random history can be found guilty of: each of its checks has a word, and every failure begins with one.

``broke off`` is no check: an exception that no command may end with. A planted mistake that only breaks the program
shows nothing about the checks, so ``test_defects.py`` tells these apart.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

CHECKS = {
    "lost": "bytes or a directory that a user made are gone, and no user who had them removed them",
    "back": "what a user deleted is there again",
    "mixed": "a unit is something that no user ever had in front of them",
    "not at rest": "the replicas never come to rest, or a further round still changes something",
    "unequal": "folders or heads differ when all have been joined",
    "conflicts": "not the same list of conflicts everywhere",
    "alone": "with a single user, something else than what they left",
    "refused": "a peer refuses what another one made in good faith",
    "gate": "a folder was emptied, or a deletion of everything recorded, though nobody opened the gate",
    "unsound": "index, log or disk do not fit each other, or fsck finds damage",
}
BROKE_OFF = "broke off"


class WrongError(AssertionError):
    """A history that went wrong: what did, and all that happened before. ``what`` begins with a check's word."""

    def __init__(self, what: str, story: str) -> None:
        super().__init__(story)
        self.what = what


def verdict(check: str, what: object = "") -> str:
    """The failure of a check, in words."""
    assert check in CHECKS, check
    return f"{check}: {what}" if what else check


def broke_off(text: str) -> str:
    """An exception that should not have been."""
    return f"{BROKE_OFF}: {text}"


def check_of(failure: str) -> str:
    """Which check a failure is from."""
    return failure.partition(":")[0].splitlines()[0]


def told(kind: str, those: Sequence[int], begun: float, failed: Sequence[int]) -> str:
    """One line on a run of histories that began at ``begun`` (of the monotonic clock): how many, how long, which
    failed."""
    seconds = time.monotonic() - begun
    seeds = f"; failed: {', '.join(map(str, failed))}" if failed else ", none failed"
    return f"{len(those)} histories {kind} in {seconds:.0f} s{seeds}"


class Moments:
    """The moments at which something was cut off, or failed: each is to be got over. Those that are not are told
    together, when all are done."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self._name = name
        self._begun = time.monotonic()
        self._failed: list[str] = []

    @contextmanager
    def at(self, where: str) -> Iterator[None]:
        """What is looked at after one of them."""
        self.count += 1
        try:
            yield
        except Exception as error:
            self._failed.append(f"{where}: {error!r}")

    def told(self) -> str:
        seconds = time.monotonic() - self._begun
        return f"{self._name}: {self.count} moments in {seconds:.0f} s, {len(self._failed)} failed"

    def assert_got_over(self) -> None:
        assert self.count, "nothing came about"
        assert not self._failed, "\n".join([f"{len(self._failed)} of {self.count}", *self._failed[:50]])
