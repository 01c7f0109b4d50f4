"""Random histories of real folders with units: whatever happens, and in whatever moment, each unit on any replica is
byte for byte what some user had in front of them; nothing that a user left is lost, and all folders come to rest equal.

Quick by default, with seeds that never change; ``REPLICAN_TORTURE=<histories>`` runs a hundredth as many, from a seed
of the moment. ``tests/support/unit_histories.py`` runs one again.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
import unit_histories
from verdicts import WrongError, told

TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))
FIRST_SEED = int(time.time()) * 1_000_000 if TORTURE else 0
CHUNKS = 4


@pytest.fixture
def base() -> Iterator[str]:
    place = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_unit_is_never_mixed_and_nothing_is_lost(
    chunk: int, base: str, record_property: Callable[[str, object], None]
) -> None:
    count = (TORTURE // 100 or 24) // CHUNKS + 1
    begun, those = time.monotonic(), range(FIRST_SEED + chunk * count, FIRST_SEED + (chunk + 1) * count)
    failures = []
    for seed in those:
        try:
            unit_histories.history(seed, base)
        except WrongError as error:
            failures.append(str(error))
    record_property("summary", told("of real folders, with units", those, begun, [len(failures)] if failures else []))
    assert not failures, "\n\n".join(failures)
