"""Random histories of replicas in real folders whose users work in units: with edits amid commands, and kills.

What has to be true of a unit at any moment, wherever it lies: byte for byte it is what some user had in front of them.
To see one:

    python tests/support/unit_histories.py SEED
"""

import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable

import pytest
from cases import Unit, units_of
from folders import contents, differences, snapshot
from in_turns import InTurns
from killing import BrokenOffError, Moments, killed
from machine import Machine, moment
from one_command import run
from simulation import links_of
from unflushed import unflushed
from users import BEGINNING
from verdicts import WrongError, broke_off, verdict

from replican.decisions.treediff import walk_tree
from replican.decisions.units import unit_at
from replican.effects import reading
from replican.effects.config import RemoteSettings
from replican.operations import folders
from replican.repository import Repository
from replican.values.ids import BlobId, blob_id
from replican.values.trees import DIRECTORY

ATTRIBUTES = ".replicanattributes"
COMMANDS = {"record": 2, "pull": 8, "push": 3, "sync": 8, "fetch": 1, "merge": 1}
KILLED, EDITED = 0.3, 0.75
"""Up to where on a scale to 1 a command is killed, and up to where somebody edits in the middle of it."""

Units = dict[bytes, Unit]


def units_in(root: str) -> Units:
    """All units of a folder, by path. (Empty ones have no files.)"""
    return {os.fsencode(path): unit for path, unit in units_of(contents(root)).items()}


class History:
    """One history."""

    def __init__(self, seed: int, base: str, patch: pytest.MonkeyPatch) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.patch = patch
        self.log: list[str] = []
        self.machine = Machine(patch)
        hashing = self.machine._wrapped("hash_directory", reading.hash_directory, False)
        patch.setattr(reading, "hash_directory", hashing)  # so that an edit comes between one directory and the next
        patch.setenv("XDG_CONFIG_HOME", f"{base}/home")
        patch.setenv("REPLICAN_AUTHOR_NAME", "user")
        patch.setattr(folders, "beside_telling", InTurns)
        unflushed(patch)
        count = rng.choice([2, 2, 3])
        self.links = links_of(rng.choice(["chain", "mesh"]), count)
        self.roots = [f"{base}/p{number}" for number in range(count)]
        for number, root in enumerate(self.roots):
            self._begin(number, root)
        self.front: set[Unit] = set()
        # By what they hold: an edit goes along where somebody else has renamed its unit.
        self.left: dict[Unit, bytes] = {}
        self.given_up: set[Unit] = set()

    def _begin(self, number: int, root: str) -> None:
        os.makedirs(root)
        self._put(root, ATTRIBUTES, b"*.u/ atomic\n", 0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "urandom", lambda size: bytes([number + 1]) * size)
            Repository.init(root).close()
        with Repository(root) as repo:
            repo.config.set("units.quiet_ms", "0")
            for i, j in self.links:
                if i == number:
                    repo.config.set_remote(f"p{j}", RemoteSettings(self.roots[j]))

    @staticmethod
    def _put(root: str, path: str, data: bytes, step: int) -> None:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        os.utime(full, ns=(BEGINNING + step * 10**9, BEGINNING + step * 10**9))

    def say(self, text: str) -> None:
        self.log.append(text)

    def fail(self, what: str) -> WrongError:
        story = "\n".join(self.log)
        again = f"again: python tests/support/unit_histories.py {self.seed}"
        return WrongError(what, f"seed {self.seed}: {what}\n{story}\n{what}\n{again}")

    # -- users --------------------------------------------------------------------------------------------------------

    def act(self, number: int, rng: random.Random, token: str) -> None:
        root = self.roots[number]

        def by_user() -> None:
            self.check()
            before = units_in(root)
            done = self._do(root, before, rng, token)
            after = units_in(root)
            self.say(f"p{number}'s user: {done}")
            for path, unit in before.items():
                if after.get(path) != unit:
                    self.given_up.add(unit)
            for path, unit in after.items():
                self.front.add(unit)
                if before.get(path) != unit:
                    self.left[unit] = path

        self.machine.by_user(by_user)

    def _do(self, root: str, there: Units, rng: random.Random, token: str) -> str:
        step = int(token.partition(".")[0])
        paths = sorted(map(os.fsdecode, there))
        what = rng.random()
        if what < 0.6 or not paths:
            path = rng.choice(["a.u", "b.u", "d/c.u", *paths])
            names = rng.sample(["head", "refs/main", "refs/next", "e/f/y"], rng.randint(1, 3))
            for name in names:
                full = f"{root}/{path}/{name}"
                if rng.random() < 0.2 and os.path.exists(full):
                    os.unlink(full)
                else:
                    self._put(root, f"{path}/{name}", token.encode(), step)
            return f"in {path}: {names} = {token}"
        if what < 0.72:
            self._put(root, rng.choice(["f", "d/f", "d/e/f"]), token.encode(), step)
            return "a plain file"
        path = rng.choice(paths)
        if what < 0.84:
            shutil.rmtree(f"{root}/{path}")
            return f"removes {path}"
        if what < 0.90 and os.path.isdir(f"{root}/d"):
            shutil.rmtree(f"{root}/d")
            return "removes d"
        new = rng.choice(["", "d/"]) + f"n{token}.u"
        os.makedirs(os.path.dirname(f"{root}/{new}"), exist_ok=True)
        os.rename(f"{root}/{path}", f"{root}/{new}")
        return f"renames {path} to {new}"

    # -- commands -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            for step in range(1, self.rng.randint(8, 24)):
                self.patch.setenv("REPLICAN_AUTHOR_DATE", f"@{BEGINNING // 10**9 + step * 10}")
                self._one_step(step, random.Random(f"{self.seed}/{step}"))
                self.check()
                self.check_logs()
            self._come_to_rest()
            self._judge()
        except (WrongError, BrokenOffError):
            raise
        except Exception as error:
            raise self.fail(broke_off("".join(traceback.format_exception(error)))) from error

    def _one_step(self, step: int, rng: random.Random) -> None:
        if step < 3 or rng.random() < 0.5:
            self.act(rng.randrange(len(self.roots)), rng, f"{step}.1")
            return
        i, j = rng.choice(self.links)
        command = rng.choices(list(COMMANDS), list(COMMANDS.values()))[0]
        self.act(rng.choice([i, j]), rng, f"{step}.2")
        self.machine.waiting, steps = moment(rng, 0.5)
        how, editor = rng.random(), rng.choice([i, j])

        def edit() -> None:
            self.act(editor, rng, f"{step}.3")

        def do() -> str:
            return run(command, self.roots[i], f"p{j}")

        outcome: str | None = None
        if how < KILLED:
            outcome = self._killed(do, Moments(steps), edit)
        else:
            if how < EDITED:
                self.machine.fire, self.machine.countdown = edit, steps
            outcome = do()
        self.machine.countdown, self.machine.waiting = None, ""
        self.say(f"p{i}: {command} p{j}: {'killed' if outcome is None else outcome}")
        if outcome is None and rng.random() < 0.5:
            self.act(rng.choice([i, j]), rng, f"{step}.4")

    def _killed(self, do: Callable[[], str], moments: Moments, edit: Callable[[], None]) -> str | None:
        try:
            return killed(self.machine, do, moments, edit)
        except BrokenOffError as error:
            raise self.fail(broke_off(str(error))) from error

    # -- what has to be true ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every unit, wherever it lies, is what some user had in front of them."""
        for number, root in enumerate(self.roots):
            for path, unit in units_in(root).items():
                if unit not in self.front:
                    raise self.fail(verdict("mixed", f"{path!r} of p{number}: {sorted(unit)}"))

    def check_logs(self) -> None:
        """So it is in every head, though no folder may ever get it."""
        known = {frozenset((path, blob_id(data)) for path, data in unit) for unit in self.front}
        for number, root in enumerate(self.roots):
            with Repository(root) as repo:
                found: dict[bytes, set[tuple[str, BlobId]]] = {}
                for path, entry in walk_tree(repo, repo.head_tree):
                    unit = unit_at(repo, repo.head_tree, path)
                    if unit is not None and entry.kind != DIRECTORY:
                        found.setdefault(unit, set()).add((os.fsdecode(path[len(unit) + 1 :]), entry.blob))
            for path, files in found.items():
                if frozenset(files) not in known:
                    raise self.fail(verdict("mixed", f"{path!r} in the head of p{number}"))

    def _come_to_rest(self) -> None:
        for _ in range(14):
            before = [self._head(root) for root in self.roots]
            for i, j in self.links:
                self.say(f"p{i}: pull p{j}: {run('pull', self.roots[i], f'p{j}')}")
                if (j, i) not in self.links:
                    self.say(f"p{i}: sync p{j}: {run('sync', self.roots[i], f'p{j}')}")
                self.check()
            if len(set(before)) == 1 and before == [self._head(root) for root in self.roots]:
                return
        raise self.fail(verdict("not at rest"))

    @staticmethod
    def _head(root: str) -> bytes | None:
        with Repository(root) as repo:
            return repo.head

    def _judge(self) -> None:
        first = snapshot(self.roots[0])
        for root in self.roots[1:]:
            if wrong := differences(first, snapshot(root)):
                raise self.fail(verdict("unequal", "; ".join(wrong)))
        final = set(units_in(self.roots[0]).values())
        for unit, path in self.left.items():
            if unit not in final and unit not in self.given_up:
                raise self.fail(verdict("lost", f"{path!r}: {sorted(unit)}"))


def history(seed: int, base: str) -> None:
    """Run one below ``base``, which is emptied after it; raises ``WrongError``."""
    place = tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=base)
    try:
        with pytest.MonkeyPatch.context() as patch:
            History(seed, place, patch).run()
    finally:
        shutil.rmtree(place)


def main() -> None:
    base = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        history(int(sys.argv[1]), base)
        print("all is well")
    except WrongError as failure:
        print(failure)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
