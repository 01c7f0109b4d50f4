from pathlib import Path

import pytest
from in_process import InProcess
from small_repository import SmallRepository


@pytest.fixture
def other(run: InProcess, tmp_path: Path) -> SmallRepository:
    made = SmallRepository(tmp_path / "other")
    run("remote", "add", "origin", made.root)
    return made


def test_what_is_recorded_comes(run: InProcess, other: SmallRepository) -> None:
    assert run("fetch-log").out == b""
    run("fetch-log", "--exit-code", code=1)
    first = other.user(None, "a=1")
    head = other.user(first, "a=1 b/c=2")
    assert run("fetch-log", "--exit-code", "origin").text == f"{head.hex()}\tremotes/origin/head\n"
    assert run("rev-parse", "origin/head").text == f"{head.hex()}\n"
    assert run("fetch-log", "--exit-code", code=1).text == f"{head.hex()}\tremotes/origin/head\n"
    last = other.user(head, "b/c=3")
    assert run("fetch-log", "--json").json() == {
        "remote": "origin",
        "ref": "remotes/origin/head",
        "old": head.hex(),
        "new": last.hex(),
        "checkpoints": 1,
        "trees": 2,
    }


def test_nothing_is_recorded_over_there(run: InProcess, other: SmallRepository) -> None:
    (other.root / "file").write_text("x")
    assert run("fetch-log").out == b""
    with other.open() as repo:
        assert repo.head is None


def test_what_cannot_be_reached(run: InProcess, other: SmallRepository, tmp_path: Path) -> None:
    run("fetch-log", "nobody", code=8)
    other.root.rename(tmp_path / "moved")
    run("fetch-log", code=5)
