"""That the random histories bite: with a mistake planted in replican, one of the first of them has to fail.

A few mistakes by default, all of them by ``make torture-check``.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import defects
import pure_histories
import pytest
import torture
import unit_histories
from defects import DEFECTS, PURE, UNITS, Defect
from verdicts import CHECKS, check_of

ALL = bool(os.environ.get("REPLICAN_TORTURE_CHECK"))
QUICK = {"one merge base of several", "a deletion counts for nothing", "a commit records the disk alone"}


@pytest.fixture
def base() -> Iterator[str]:
    place = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def pure(seed: int, base: str) -> str | None:
    return pure_histories.history(seed, partial=seed % 2 == 1)


def real(seed: int, base: str) -> str | None:
    try:
        torture.history(seed, base)
    except torture.WrongError as error:
        return error.what
    return None


def with_units(seed: int, base: str) -> str | None:
    try:
        unit_histories.history(seed, base)
    except torture.WrongError as error:
        return error.what
    return None


def seeds(defect: Defect) -> Iterator[int]:
    yield defect.lately
    yield from range(defect.histories.most)


def first_caught(history: Callable[[int, str], str | None], defect: Defect, base: str) -> tuple[int, int, str] | None:
    """How many histories it took, the seed of the last, and what a check of it says; that something broke off is none
    of them."""
    for count, seed in enumerate(seeds(defect), 1):
        wrong = history(seed, base)
        if wrong and check_of(wrong) in CHECKS:
            return count, seed, wrong
        place = wrong and [line for line in wrong.splitlines() if line.lstrip().startswith('File "')][-1]
        assert not place or defects.__file__ not in place, f"what is planted does not fit any more: {wrong}"
    return None


@pytest.mark.parametrize("defect", [each for each in DEFECTS if ALL or each.name in QUICK], ids=lambda each: each.name)
def test_a_planted_defect_is_caught(
    defect: Defect, base: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    history = pure if defect.histories is PURE else with_units if defect.histories is UNITS else real
    for name, share in defect.histories.shares.items():
        monkeypatch.setattr(torture, name, share)
    with pytest.MonkeyPatch.context() as patch:
        defect.plant(patch)
        caught = first_caught(history, defect, base)
    assert caught is not None, f"{defect.name}: not caught by {defect.histories.most} histories"
    count, seed, told = caught
    what = f"{defect.name}: caught by {count} ({defect.histories.name}), seed {seed}: {told.splitlines()[0][:90]}"
    record_property("summary", what)
    assert history(seed, base) is None, "the same history, without the defect, is a good one"


def test_there_are_enough_of_them() -> None:
    assert len(DEFECTS) >= 15
    assert len({each.name for each in DEFECTS}) == len(DEFECTS)
