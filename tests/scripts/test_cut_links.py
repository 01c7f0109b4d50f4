"""A link that is cut, at any byte, in either direction: the next run goes on, and nothing is lost or left over."""

import os
import random
import time
from pathlib import Path

import pytest
from bad_link import DOWN, UP, BadLink
from false_ssh import false_ssh
from folders import assert_equal, contents, snapshot, write
from in_process import InProcess

CUTS = max(4, int(os.environ.get("REPLICAN_TORTURE", "0")) // 100)
"""How many cuts there are of each command in each direction."""


class World:
    """A folder over there, and one here, over a link that can be cut."""

    def __init__(self, base: Path, link: BadLink) -> None:
        self.base, self.link = base, link
        self.there, self.here = base / "there", base / "here"
        self.rng = random.Random(3)
        self.run = InProcess(base)

    def change(self, root: Path) -> None:
        """A few small files, one that is large, one that is copied, one that goes: other ones each time."""
        number = self.rng.randrange(1 << 30)
        for each in range(12):
            write(root / f"{each % 3}/{each}", b"%d of %d" % (each, number))
        write(root / "noise", self.rng.randbytes(150_000))
        write(root / f"copies/{number}", b"%d" % number * 3000)
        for old in sorted((root / "copies").iterdir())[:-2]:
            old.unlink()

    def cuts(self, direction: str) -> list[int]:
        """Where to cut what has just gone over the link: its first bytes, its last ones, and in between."""
        total = self.link.told[direction]
        found = [self.rng.randrange(1, total) for _ in range(CUTS - 3)]
        return [self.rng.randrange(1, min(total, 200)), *found, total - self.rng.randrange(1, 30), total - 1]

    def cut(self, direction: str, at: int, *words: str, cwd: Path) -> int:
        """Run a command over a link that is cut there; nothing of it is left when the far end has noticed."""
        self.link.set(**{f"cut_{direction}": at})
        code = self.run(*words, cwd=cwd, code=None).code
        far = self.link.told["far"]
        for _ in range(1500):
            try:
                os.killpg(far, 0)
            except ProcessLookupError:
                break
            time.sleep(0.01)
        else:
            pytest.fail(f"the far end goes on after {words} was cut at {at}")
        self.link.set()
        return code


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    link = BadLink(tmp_path, false_ssh(tmp_path))
    monkeypatch.setenv("REPLICAN_SSH", str(link.program))
    made = World(tmp_path, link)
    made.run("init", "there")
    made.change(made.there)
    made.run("clone", f"host:{made.there}", "here")
    return made


def assert_old_or_new(root: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Each file is as it was or as it is to be, whole."""
    for path, content in contents(root).items():
        assert content in (old.get(path), new.get(path)), path
    for path in old.keys() & new.keys():
        assert path in contents(root)


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_clone(world: World, direction: str) -> None:
    codes = set()
    for number, at in enumerate(world.cuts(direction)):
        copy = world.base / f"copy{number}"
        codes.add(world.cut(direction, at, "clone", f"host:{world.there}", str(copy), cwd=world.base))
        if copy.exists():
            assert_old_or_new(copy, {}, contents(world.there))
        ended = world.run("clone", f"host:{world.there}", str(copy), code=None)
        assert ended.code == 0 or "is a replica already" in ended.err, "only its last words were cut"
        assert_equal(world.there, copy)
        world.run("fsck", "--content", cwd=copy)
    assert codes <= {0, 5}
    assert 5 in codes


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize("command", ["pull", "sync"])
def test_pull(world: World, direction: str, command: str) -> None:
    world.change(world.there)
    world.run(command, cwd=world.here)
    codes = set()
    for at in world.cuts(direction):
        world.change(world.there)
        old, new = contents(world.here), contents(world.there)
        codes.add(world.cut(direction, at, command, cwd=world.here))
        assert contents(world.there) == new
        assert_old_or_new(world.here, old, new)
        world.run(command, cwd=world.here)
        assert_equal(world.there, world.here)
    world.run("fsck", "--content", cwd=world.here)
    assert codes <= {0, 5}
    assert 5 in codes


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_push(world: World, direction: str) -> None:
    world.change(world.here)
    world.run("commit", cwd=world.here)
    world.run("push", cwd=world.here)
    codes = set()
    for at in world.cuts(direction):
        world.change(world.here)
        world.run("commit", cwd=world.here)
        old, new, before = contents(world.there), contents(world.here), snapshot(world.here)
        codes.add(world.cut(direction, at, "push", cwd=world.here))
        assert snapshot(world.here) == before
        assert_old_or_new(world.there, old, new)
        world.run("push", cwd=world.here)
        assert_equal(world.there, world.here)
    world.run("fsck", "--content", cwd=world.there)
    assert codes <= {0, 5}
    assert 5 in codes
