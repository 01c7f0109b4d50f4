"""The same histories, in which files of any size are known by their births: elsewhere their files are too small.

What a renamed file is taken for decides what is recorded. A history in which something is recorded that nobody wrote,
or a row does not come to be noted, comes to no rest, or loses something.
"""

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
import torture
import unit_histories

from replican.effects.index_births import BORN_FROM
from replican.effects.linux import birth_ns

WHO_ASKS = ("arrivals", "births", "examine", "index_births", "site")


@pytest.fixture(params=["memory", "disk"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the folders lie: in memory, where there is such a place, or on a disk, which uses inodes again."""
    if request.param == "memory" and not os.path.isdir("/dev/shm"):
        pytest.skip("there is no such place")
    place = tempfile.mkdtemp(dir="/dev/shm" if request.param == "memory" else tmp_path_factory.mktemp("histories"))
    with tempfile.TemporaryFile(dir=place) as file:
        kept = birth_ns(file.fileno()) is not None
    if kept:
        yield place
    shutil.rmtree(place)
    if not kept:
        pytest.skip("this disk does not keep when a file was made")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WHO_ASKS:
        module = importlib.import_module(f"replican.effects.{name}")
        assert module.BORN_FROM == BORN_FROM
        monkeypatch.setattr(module, "BORN_FROM", 1)


@pytest.mark.parametrize("seed", range(1, 5))
def test_of_folders(seed: int, base: str) -> None:
    torture.history(seed, base)


@pytest.mark.parametrize("seed", range(9, 12))
def test_of_folders_with_units(seed: int, base: str) -> None:
    unit_histories.history(seed, base)
