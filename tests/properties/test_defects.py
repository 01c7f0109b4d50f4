"""That the random histories bite: with a mistake planted in replican, one of the first of them has to fail.

A few mistakes by default, all of them by ``make torture-check``.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import pure_histories
import pytest
import torture
from defects import DEFECTS, EDITED, KILLED, PURE, REAL, Defect
from verdicts import CHECKS, check_of

ALL = bool(os.environ.get("REPLICAN_TORTURE_CHECK"))
QUICK = {"one merge base of several", "a deletion counts for nothing", "a commit records the disk alone"}
MOST_PURE, MOST_REAL = 6000, 600


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


SHARES = {REAL: (0.4, 0.6), KILLED: (1.0, 1.0), EDITED: (0.0, 1.0)}


def first_caught(history: Callable[[int, str], str | None], most: int, base: str) -> tuple[int, str] | None:
    """How many histories it took, and what a check of theirs says; that something broke off is none of them."""
    for seed in range(most):
        wrong = history(seed, base)
        if wrong and check_of(wrong) in CHECKS:
            return seed + 1, wrong
    return None


@pytest.mark.parametrize("defect", [each for each in DEFECTS if ALL or each.name in QUICK], ids=lambda each: each.name)
def test_a_planted_defect_is_caught(
    defect: Defect, base: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    history, most = (pure, MOST_PURE) if defect.histories == PURE else (real, MOST_REAL)
    if defect.histories in SHARES:
        for name, share in zip(("KILLED_SHARE", "EDITED_SHARE"), SHARES[defect.histories], strict=True):
            monkeypatch.setattr(torture, name, share)
    with pytest.MonkeyPatch.context() as patch:
        defect.plant(patch)
        caught = first_caught(history, most, base)
    assert caught is not None, f"{defect.name}: not caught by {most} histories"
    told = caught[1].splitlines()[0][:100]
    record_property("summary", f"{defect.name}: caught by history {caught[0]} ({defect.histories}): {told}")
    assert history(caught[0] - 1, base) is None, "the same history, without the defect, is a good one"


def test_there_are_enough_of_them() -> None:
    assert len(DEFECTS) >= 15
    assert len({each.name for each in DEFECTS}) == len(DEFECTS)
