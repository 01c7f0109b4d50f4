"""What several tests of effects start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from replican.effects.index import Index


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "index.db")


@pytest.fixture
def index(path: str) -> Iterator[Index]:
    with Index.open(path, writable=True) as index:
        yield index
