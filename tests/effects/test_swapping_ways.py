"""Units that somebody is at work in from inside, by no name of the folder; and links in their place."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from folders import contents, write
from pairs import Pair
from unit_steps import KINDS, NEW, a_pair, at_step, units


def outside_of(base: Path) -> Path:
    """What a link leads to: the same names as in the units, of somebody else."""
    outside = base / "outside"
    for name in ("head", "refs/main", "old/x", "main", "x"):
        write(outside / name, "of somebody else")
    return outside


@KINDS
@pytest.mark.parametrize("place", ["", "refs"], ids=["the unit", "in it"])
def test_a_link_in_its_place_at_any_step_leads_nowhere(
    tmp_path: Path, place: str, kind: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Whether it is put there by the name of the unit, or by whoever is in it while it goes."""
    for number in count(1):
        pair, outside = a_pair(tmp_path / str(number)), outside_of(tmp_path / str(number))
        before = contents(outside)
        inside = [os.open(pair.b / name, os.O_RDONLY) for name in ("a.u", "gone.u")]

        def swap(pair: Pair = pair, outside: Path = outside, inside: list[int] = inside) -> None:
            for name, fd in zip(("a.u", "gone.u"), inside, strict=True):
                if not place:
                    if (pair.b / name).exists():
                        (pair.b / name).rename(pair.b / f"{name} of mine")
                        (pair.b / name).symlink_to(outside)
                elif "refs" in os.listdir(fd):
                    os.rename("refs", "refs of mine", src_dir_fd=fd, dst_dir_fd=fd)
                    os.symlink(outside, "refs", dir_fd=fd)

        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            steps = at_step(patch, number, True, swap)
            pair.pull()
        for fd in inside:
            os.close(fd)
        assert contents(outside) == before, number
        if steps[0] < number:
            break
        pair.sync()
        pair.sync()
        assert contents(outside) == before, number
        pair.assert_at_rest()
    assert number > 8, "the plan has fewer steps than this test thinks"


@KINDS
def test_what_comes_into_a_unit_that_goes_is_kept(tmp_path: Path, kind: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Its user is in it while it is replaced: what is made there is in the folder, or in the trash."""
    for number in count(1):
        pair = a_pair(tmp_path / str(number))
        inside = [os.open(pair.b / name, os.O_RDONLY) for name in ("a.u", "gone.u")]
        made: set[bytes] = set()

        def write_there(inside: list[int] = inside, made: set[bytes] = made) -> None:
            for at, fd in enumerate(inside):
                for name in ("mine", "refs/mine"):
                    try:
                        file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
                    except OSError:
                        continue  # it is removed already
                    made.add(b"%d %s" % (at, name.encode()))
                    os.write(file, b"%d %s" % (at, name.encode()))
                    os.close(file)

        with pytest.MonkeyPatch.context() as patch:
            kind(patch)
            steps = at_step(patch, number, True, write_there)
            pair.pull()
        for fd in inside:
            os.close(fd)
        if steps[0] < number:
            break
        pair.sync()
        pair.sync()
        trash = {path.read_bytes() for path in (pair.b / ".replican/trash").iterdir() if path.is_file()}
        assert made <= trash | set(contents(pair.b).values()), number
        pair.assert_at_rest()
        assert units(pair.b)["a.u"] == NEW or made, number
    assert number > 8, "the plan has fewer steps than this test thinks"
