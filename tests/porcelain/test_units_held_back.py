"""Units of which something cannot be read stay as they are, whole: the rest goes on, and the command ends with 4."""

from pathlib import Path

import pytest
from folders import assert_equal, contents, unreadable
from replicas import OLD, Replicas

OLD_UNIT = {"head": b"1", "refs/main": b"1"}
NEW = ("head", "refs/main", "refs/next")


def new(name: str) -> dict[str, bytes]:
    """What the new version of a unit holds: nothing that is anywhere else."""
    return {path: f"{path} of {name}".encode() for path in NEW}


@pytest.fixture(name="run")
def in_step(replicas: Replicas) -> Replicas:
    replicas.clone({".replicanattributes": "*.u/ atomic\n", "a.u/head": "1", "a.u/refs/main": "1", "plain": "1"})
    for each in ("a", "b"):
        replicas(each, "config", "units.quiet_ms", "0")
    return replicas


def edit(run: Replicas, *names: str) -> None:
    """Have new versions of units, and of a plain file."""
    for name in names:
        for path, content in new(name).items():
            run.write(f"a/{name}/{path}", content, OLD + 1)
    run.write("a/plain", "2", OLD + 1)


def unit(folder: Path, name: str = "a.u") -> dict[str, bytes]:
    return contents(folder / name) if (folder / name).exists() else {}


@pytest.mark.parametrize("which", ["head", "refs/next"])
@pytest.mark.parametrize("name", ["a.u", "came.u", "in/came.u"])
def test_what_its_user_cannot_read_is_not_recorded(run: Replicas, which: str, name: str) -> None:
    edit(run, "a.u", name)
    with unreadable(run.base / "a" / name / which):
        told = run("a", "commit", code=4)
        assert f"{name}: permission denied" in told.err
        assert "permission denied" in run("b", "sync", code=4).err
    assert run.read("b/plain") == "2"
    assert unit(run.base / "b") == (OLD_UNIT if name == "a.u" else new("a.u"))
    assert unit(run.base / "b", name) == (OLD_UNIT if name == "a.u" else {})
    run("b", "sync")
    assert_equal(run.base / "a", run.base / "b")
    assert unit(run.base / "b", name) == new(name)


@pytest.mark.parametrize("which", ["head", "refs/next"])
@pytest.mark.parametrize("name", ["a.u", "came.u", "in/came.u"])
def test_what_cannot_be_read_any_more_when_it_is_fetched(run: Replicas, which: str, name: str) -> None:
    edit(run, "a.u", name)
    run("a", "commit")
    with unreadable(run.base / "a" / name / which):
        told = run("b", "pull", code=4)
        assert name in told.err
        assert run.read("b/plain") == "2"
        assert unit(run.base / "b") == (OLD_UNIT if name == "a.u" else new("a.u"))
        assert unit(run.base / "b", name) == (OLD_UNIT if name == "a.u" else {})
        assert run("b", "commit", code=4).text == "nothing to record\n", "it is nobody's edit here"
    run("b", "sync")
    assert_equal(run.base / "a", run.base / "b")
    assert unit(run.base / "b", name) == new(name)


def test_what_cannot_be_read_here_keeps_the_old_one(run: Replicas) -> None:
    """The unit changed over there, and here a file of it cannot be read, which may have been edited."""
    edit(run, "a.u")
    run.write("b/a.u/refs/main", "mine", OLD + 2)
    with unreadable(run.base / "b/a.u/refs/main"):
        assert "permission denied" in run("b", "pull", code=4).err
        assert run.read("b/plain") == "2"
    assert unit(run.base / "b") == {"head": b"1", "refs/main": b"mine"}
    run("b", "sync")
    assert_equal(run.base / "a", run.base / "b")
    (copy,) = [each for each in run.names("b") if ".conflict-" in each]
    assert unit(run.base / "b", copy) == new("a.u")
