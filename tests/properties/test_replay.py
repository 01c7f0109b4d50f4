"""A history that fails is told, fails again from its seed alone, and is shortened to few steps."""

import os
import re
import sys
from collections.abc import Callable

import pure_histories
import pytest
import torture
from defects import DEFECTS
from verdicts import CHECKS, check_of

TORTURE = bool(int(os.environ.get("REPLICAN_TORTURE", "0")))


def planted(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    (defect,) = [each for each in DEFECTS if each.name == name]
    return defect.plant


def told(main: Callable[[], None], words: list[str], monkeypatch: pytest.MonkeyPatch, capsys) -> tuple[set[int], str]:
    """Which steps were taken, and what was found, by a run from the command line."""
    monkeypatch.setattr(sys, "argv", ["", *words])
    main()
    lines = capsys.readouterr().out.splitlines()
    steps = {int(line[:3]) for line in lines if re.match(r" *\d+ ", line[:4])}
    return steps - {0}, next(line for line in reversed(lines) if line and not line.startswith("again: "))


def test_in_memory(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    planted("a deletion counts for nothing")(monkeypatch)
    seed = next(seed for seed in range(100) if pure_histories.history(seed))
    failure = pure_histories.history(seed)
    assert failure is not None
    assert pure_histories.history(seed) == failure
    all_of_it, found = told(pure_histories.main, [str(seed)], monkeypatch, capsys)
    assert found == failure
    few, still = told(pure_histories.main, [str(seed), "--shorten"], monkeypatch, capsys)
    assert check_of(still) in CHECKS
    assert few < all_of_it
    assert len(few) < len(all_of_it) / 2


def test_on_folders(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    planted("what a merge wrote is recorded as an edit")(monkeypatch)
    runs = ((seed, told(torture.main, [str(seed)], monkeypatch, capsys)) for seed in range(1, 100))
    seed, (all_of_it, found) = next((seed, run) for seed, run in runs if check_of(run[1]) in CHECKS)
    again, still = told(torture.main, [str(seed)], monkeypatch, capsys)
    assert (again, check_of(still)) == (all_of_it, check_of(found))
    if TORTURE:  # half a minute
        few, still = told(torture.main, [str(seed), "--shorten"], monkeypatch, capsys)
        assert check_of(still) in CHECKS
        assert few < all_of_it
