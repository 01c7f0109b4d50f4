"""An end that cannot do all that this release can, over there or here: everything comes all the same."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import older_end
import pytest
from false_ssh import false_ssh
from folders import assert_equal, noise, write

from replican.values.messages import ABLE

MIB = 1 << 20
OLD = noise(3 * MIB)
TEXT = b"".join(b"line %d\n" % number for number in range(10_000))
SETS = {
    "none": frozenset[str](),
    **{f"all but {word}": ABLE - {word} for word in sorted(ABLE)},
    **{f"only {word}": frozenset([word]) for word in ("copies", "early", "sums")},
}


class Ends:
    """Two folders, each with an end of its own: ``run`` is how commands are called here."""

    def __init__(self, base: Path, environment: Mapping[str, str], here: Sequence[str], there: str) -> None:
        self._environment = {**environment, "REPLICAN_SSH": str(false_ssh(base))}
        self._program = here
        self.here, self.there = base / "here", base / "there"
        for number in range(40):
            write(self.there / f"{number % 4}/{number}", TEXT[: number * 100] + b"%d" % number)
        write(self.there / "d/large", OLD)
        os.symlink("0/0", self.there / "link")
        self.run("clone", "--serve-command", there, f"host:{self.there}", "here", cwd=base)

    def run(self, *words: str, cwd: Path | None = None) -> None:
        done = subprocess.run(
            [*self._program, *words], cwd=cwd or self.here, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def assert_equal(self) -> None:
        assert_equal(self.here, self.there)


def everything(ends: Ends) -> None:
    """All that two ends have to say to each other, but for a watch: what is new, blocks, sums, early files."""
    here, there = ends.here, ends.there
    ends.assert_equal()
    write(there / "d/large", OLD[:MIB] + b"a few more bytes" + OLD[MIB:])  # early, or by its blocks
    for number in range(20):
        write(there / f"new/{number}", TEXT[:5000] + b"%d" % number)
    ends.run("pull")
    ends.assert_equal()
    os.unlink(there / ".replican/blocks.db")  # by blocks and sums, if not whole
    write(there / "d/large", b"".join([OLD[at : at + 99_990] + b"new at here" for at in range(0, len(OLD), 100_000)]))
    ends.run("fetch", "--content")
    ends.run("merge")
    ends.assert_equal()
    for number in range(20):  # the other way round
        write(here / f"mine/{number}", TEXT[:5000] + b"mine %d" % number)
    write(here / "d/large", OLD[: 2 * MIB] + b"in the midst" + OLD[2 * MIB :])
    write(there / "theirs", TEXT)
    ends.run("sync")
    ends.assert_equal()
    write(here / "d/large", b"in front" + OLD)
    (here / "link").unlink()
    os.rename(here / "0", here / "renamed")
    ends.run("commit")
    ends.run("push")
    ends.assert_equal()


@pytest.mark.parametrize("known", SETS)
def test_the_answerer_is_older(tmp_path: Path, environment: dict[str, str], program: Sequence[str], known: str) -> None:
    there = f"{sys.executable} {older_end.__file__} {','.join(SETS[known])},"
    everything(Ends(tmp_path, environment, program, there))


@pytest.mark.parametrize("known", SETS)
def test_the_asker_is_older(tmp_path: Path, environment: dict[str, str], known: str) -> None:
    here = [sys.executable, older_end.__file__, f"{','.join(SETS[known])},"]
    everything(Ends(tmp_path, environment, here, "replican"))
