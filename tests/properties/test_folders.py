"""Random histories of real folders: two to five replicas, users, kills, edits in the middle of a command, names that
cannot be changed for a while. They come to rest equal, nothing is lost, and nothing that was deleted is back.

Quick by default, with seeds that never change. ``REPLICAN_TORTURE=<histories>`` runs a fiftieth as many instead (those
of ``test_model.py`` have no disk, and take a fraction of the time), from a seed of the moment. What fails names its
seed and tells its history, which ``tests/support/torture.py`` runs again and shortens.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
from torture import WrongError, history
from verdicts import told

TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))
FIRST_SEED = int(time.time()) * 1_000_000 if TORTURE else 0
CHUNKS = 8


@pytest.fixture(scope="module", params=["memory", "disk"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the folders lie: most in memory, where there is such a place; some on a disk, which uses inodes again."""
    if request.param == "disk" or not os.path.isdir("/dev/shm"):
        yield str(tmp_path_factory.mktemp("histories"))
        return
    place = tempfile.mkdtemp(dir="/dev/shm")
    yield place
    shutil.rmtree(place)


def seeds(chunk: int, base: str) -> range:
    """In memory 5 of 6 histories, on the disk the rest, with seeds of their own."""
    many = (TORTURE // 50 if TORTURE else 24) // CHUNKS + 1
    few = many // 5 if TORTURE else chunk // 7
    first = FIRST_SEED + chunk * (many + few)
    return range(first, first + many) if base.startswith("/dev/shm") else range(first + many, first + many + few)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_folders_come_to_rest_equal_and_nothing_is_lost(
    chunk: int, base: str, record_property: Callable[[str, object], None]
) -> None:
    failures: list[str] = []
    failed: list[int] = []
    begun, those = time.monotonic(), seeds(chunk, base)
    for seed in those:
        try:
            history(seed, base)
        except WrongError as error:
            failures.append(str(error))
            failed.append(seed)
    record_property("summary", told("of real folders", those, begun, failed))
    assert not failures, f"{len(failures)} histories failed; the first:\n{failures[0]}"
