"""Random histories of two to five replicas in real folders, driven through the operations of the library.

A history is a function of its seed, but for the clock of the disk. To see one:

    python tests/support/torture.py SEED [--without STEP,STEP,...] [--shorten]
"""

import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from folders import SECOND, differences, snapshot
from in_turns import InTurns
from killing import BrokenOffError, Moments, killed
from machine import Machine, moment
from one_command import ALLOWED, about, forget, left_by, missing, run
from oracle import Oracle
from simulation import links_of
from unflushed import unflushed
from users import BEGINNING, DAY, User
from verdicts import WrongError, broke_off, verdict

from replican.effects.config import RemoteSettings
from replican.operations import folders
from replican.repository import Repository

COMMANDS = {"record": 2, "pull": 8, "push": 3, "sync": 6, "fetch": 2, "merge": 3, "undo": 1, "gc": 2}
"""What is run, with how often."""
KILLED_SHARE, EDITED_SHARE = 0.4, 0.6
"""Up to where on a scale to 1 a command is killed, and up to where somebody edits in the middle of it."""
EARLY_SHARE, HELD_SHARE = 0.2, 0.03
"""How much of both happens at any step, and not where something is put on the disk or told; in how many of all steps a
program has a file open while a command runs."""
SETTLED_SHARE, SHUT_SHARE = 0.1, 0.1
"""How often somebody who has a conflict before them settles it, whatever else they would have done; and how often
what a killed command was about to change cannot be opened then, for a while."""
TOPOLOGIES, PEERS = ["star", "ring", "chain", "mesh", "oneway"], [2, 2, 3, 3, 4, 5]


class Peer:
    """One replica with its user."""

    def __init__(self, number: int, root: str, offset: int) -> None:
        self.number, self.root = number, root
        self.user = User(root, offset)
        self.offline = 0

    def __str__(self) -> str:
        return f"p{self.number}"


class History:
    """One history. ``without`` names steps to leave out: the others stay what they are."""

    def __init__(self, seed: int, base: str, patch: pytest.MonkeyPatch, without: frozenset[int] = frozenset()) -> None:
        self.seed, self.base, self.without = seed, base, without
        self.rng = rng = random.Random(seed)
        self.patch = patch
        self.log: list[str] = []
        self.oracle = Oracle()
        self.machine = Machine(patch)
        topology, count = rng.choice(TOPOLOGIES), rng.choice(PEERS)
        self.links = list(dict.fromkeys(links_of(topology, count)))
        self.alone = rng.random() < 0.2
        self.step = 0
        patch.setenv("XDG_CONFIG_HOME", f"{base}/home")
        patch.setenv("REPLICAN_AUTHOR_NAME", "user")
        patch.setattr(folders, "beside_telling", InTurns)
        unflushed(patch)
        self.peers = [self._begin(number) for number in range(count)]
        self.say(f"{count} replicas, links {self.links}{', only p0 is edited' if self.alone else ''}")
        for i, j in self.links:
            with Repository(self.peers[i].root) as repo:
                repo.config.set_remote(f"p{j}", RemoteSettings(self.peers[j].root))

    def _begin(self, number: int) -> Peer:
        root = f"{self.base}/p{number}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "urandom", lambda size: bytes([number + 1]) * size)
            Repository.init(root).close()
        return Peer(number, root, 0 if self.rng.random() < 0.6 else self.rng.randrange(-400 * DAY, 400 * DAY))

    def say(self, text: str) -> None:
        self.log.append(f"{self.step:3} {text}")

    def fail(self, what: str) -> WrongError:
        story, again = "\n".join(self.log), f"again: python tests/support/torture.py {self.seed}"
        return WrongError(what, f"seed {self.seed}: {what}\n{story}\n{what}\n{again}")

    # -- the course of it --------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            for step in range(1, self.rng.randint(8, 30)):
                self.step = step
                if step not in self.without:
                    self.patch.setenv("REPLICAN_AUTHOR_DATE", f"@{BEGINNING // SECOND + step * 10}")
                    self._one_step(random.Random(f"{self.seed}/{step}"))
            self.step = 0
            self._ignore_nothing()
            wanted = snapshot(self.peers[0].root)
            self._come_to_rest()
            self._judge(wanted)
        except WrongError:
            raise
        except Exception as error:
            raise self.fail(broke_off("".join(traceback.format_exception(error)))) from error

    def _one_step(self, rng: random.Random) -> None:
        what = rng.random()
        peer = self.peers[0] if self.alone else rng.choice(self.peers)
        if what < 0.5 or self.step < 3:
            for count in range(rng.choice([1, 1, 2, 3])):
                self.act(peer, rng, f"{self.step}.{count}")
        elif what < 0.54:
            time.sleep(0.025)
            self.say("pause: rows that were racy are so no more")
        elif what < 0.60:
            self._refuse(rng.choice(self.peers), rng)
        elif what < 0.62:
            gone = rng.choice(self.peers)
            gone.offline = self.step + rng.randrange(2, 8)
            self.say(f"{gone} is not to be reached until step {gone.offline}")
        elif what < 0.65:
            self._all_at_once(rng)
        elif what < 0.65 + HELD_SHARE and not self.alone:
            i, j = rng.choice(self.links)
            self._hold(rng, self.peers[i], self.peers[j])
        else:
            i, j = rng.choice(self.links)
            command = rng.choices(list(COMMANDS), list(COMMANDS.values()))[0]
            if self._apart(i, j) and command not in ("record", "undo", "gc", "merge"):
                command = "merge"  # what was fetched earlier
            if command == "undo" and self.alone:
                command = "record"
            if command in ("pull", "sync") and rng.random() < 0.4 and not self._apart(i, j):
                self._command(rng, "sync", self.peers[i], self.peers[j])  # what follows is an edit of one side alone
            if rng.random() < 0.6 and (not self.alone or j == 0):  # so that there is something to do
                for count in range(rng.choice([1, 2, 2, 3])):
                    self.act(self.peers[j], rng, f"{self.step}.{count}")
            self._command(rng, command, self.peers[i], self.peers[j])

    def act(
        self, peer: Peer, rng: random.Random, number: str, meanwhile: bool = False, among: list[bytes] | None = None
    ) -> None:
        def by_user() -> None:
            before = snapshot(peer.root)
            done = peer.user.act(rng, number, meanwhile, among, SETTLED_SHARE)
            self.oracle.linked |= done.startswith("hard link")
            self.say(f"{'  meanwhile ' if meanwhile else ''}{peer}: {done}")
            self.oracle.acted(peer.number, peer.root, before, snapshot(peer.root), meanwhile)

        self.machine.by_user(by_user)

    def _apart(self, i: int, j: int) -> bool:
        return max(self.peers[i].offline, self.peers[j].offline) > self.step

    def _all_at_once(self, rng: random.Random) -> None:
        """Pulls at the same moment: all have fetched before the first merges."""
        links = [each for each in rng.sample(self.links, rng.randint(1, len(self.links))) if not self._apart(*each)]
        for command in ("fetch", "merge"):
            for i, j in links:
                self._command_alone(command, self.peers[i], self.peers[j])

    def _refuse(self, peer: Peer, rng: random.Random) -> None:
        if (self.machine.refused or self.machine.unreadable) and rng.random() < 0.5:
            self.machine.refused.clear()
            self.machine.unreadable.clear()
            self.say("all names can be read and written again")
            return
        paths = [*sorted(snapshot(peer.root)), b"", b"a", b"b"]
        path = os.path.join(os.fsencode(peer.root), rng.choice(paths)).rstrip(b"/")
        if rng.random() < 0.4 and path != os.fsencode(peer.root):
            self.machine.unreadable.add(path)
            self.say(f"{path!r} cannot be opened for a while")
        else:
            self.machine.refused.add(path)
            self.say(f"{path!r} cannot be changed for a while")

    def _hold(self, rng: random.Random, peer: Peer, other: Peer) -> None:
        """A program has a file open while a command runs, and goes on writing to it."""
        writer = rng.choice([peer, other])
        files = sorted(path for path, seen in snapshot(writer.root).items() if seen[0] == "file")
        if not files:
            return
        with open(os.path.join(os.fsencode(writer.root), path := rng.choice(files)), "r+b") as file:
            self.say(f"{writer}: {path!r} is open while")
            self.act(other if writer is peer else peer, rng, f"{self.step}.5", among=[path])
            self._command_alone(rng.choice(["pull", "push", "sync"]), peer, other)
            before = snapshot(writer.root)
            file.seek(0, os.SEEK_END)
            file.write(f"+{self.step}.held".encode())
            file.flush()
            os.utime(file.fileno(), ns=(BEGINNING + self.step, BEGINNING + self.step))
            file.seek(0)
            self.oracle.must_be_there(file.read())
            self.oracle.acted(writer.number, writer.root, before, snapshot(writer.root), meanwhile=True)
            self.say(f"{writer}: it has been written to")

    def _command_alone(self, command: str, peer: Peer, other: Peer) -> None:
        self.say(f"{peer}: {command} {other}: {run(command, peer.root, str(other))}")
        self._looked([peer, other])

    # -- commands ----------------------------------------------------------------------------------------------------

    def _command(self, rng: random.Random, command: str, peer: Peer, other: Peer) -> None:
        allowed = ALLOWED if rng.random() < 0.8 else frozenset[str]()
        how = rng.random()
        self.machine.waiting, steps = moment(rng, EARLY_SHARE)
        at = len(self.log)
        self.say(f"{peer}: {command}" + ("" if command in ("record", "undo", "gc") else f" {other}"))
        head = self._head(peer)
        editor = peer if rng.random() < 0.6 else other
        may_edit = editor.number == 0 or not self.alone

        def edit() -> None:
            self.act(editor, rng, f"{self.step}.8", meanwhile=True)

        def do() -> str:
            return run(command, peer.root, str(other), allowed)

        outcome: str | None = None
        if how < KILLED_SHARE:
            both = may_edit and rng.random() < 0.3
            outcome = self._killed(do, Moments(rng.randrange(6), steps) if both else Moments(steps), edit)
        else:
            if how < EDITED_SHARE and may_edit:
                self.machine.fire, self.machine.countdown = edit, steps
            outcome = do()
        self.machine.countdown, self.machine.waiting = None, ""
        self.log[at] += f": {'killed' if outcome is None else outcome}"
        if outcome is None:
            self._after_a_kill(rng, [peer, other])
        else:
            self._looked([peer, other])
        if command == "undo":
            with Repository(peer.root) as repo:
                self.oracle.undone(repo, repo.tree_of(head), repo.head_tree)

    def _killed(self, do: Callable[[], str], moments: Moments, edit: Callable[[], None]) -> str | None:
        try:
            return killed(self.machine, do, moments, edit)
        except BrokenOffError as error:
            raise self.fail(broke_off(str(error))) from error

    def _after_a_kill(self, rng: random.Random, both: list[Peer]) -> None:
        """Their users find what it left, and may go on with it at once."""
        self.oracle.killed = True
        for each in both:
            names = self._note_journal(each)
            if names and rng.random() < 0.5 and not self.alone:
                self.act(each, rng, f"{self.step}.6", among=names)
        self.machine.noted.clear()  # the next process knows what stands in the index
        if rng.random() < 0.5 and not self.alone:
            self.act(rng.choice(both), rng, f"{self.step}.7")

    def _looked(self, both: list[Peer]) -> None:
        for each, left in [(each, left_by(each.root)[0]) for each in both]:
            if all(entry.cause for entry in left):
                self.oracle.looked(each.number, map(about, left))

    def _note_journal(self, peer: Peer) -> list[bytes]:
        """What a killed run was about to change, which nobody knows whether the user has seen, and what is pending.

        It is doubted for what was about to be done, and not for what stands in the index: so that a journal that is
        not written excuses nothing, and is blamed for nothing that would have been the same with it.
        """
        written, names = left_by(peer.root)
        for entry in dict.fromkeys([*written, *self.machine.noted.get(f"{peer.root}/.replican/index.db", ())]):
            self.oracle.doubt(peer.number, *about(entry))
            self.say(f"    in its journal: {entry.path!r}")
            names.append(entry.path)
            chance = random.Random(f"{self.seed}/{self.step}/{entry.path!r}")
            if chance.random() < SHUT_SHARE:
                self.machine.unreadable.add(os.path.join(os.fsencode(peer.root), entry.path))
                self.say(f"{peer}: {entry.path!r} cannot be opened for a while")
        return names

    def _head(self, peer: Peer) -> Any:
        with Repository(peer.root) as repo:
            return repo.head

    # -- the end -----------------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        self.machine.refused.clear()
        self.machine.unreadable.clear()
        self.say("-- quiescence --")
        for peer in self.peers:
            self.say(f"{peer}: {run('record', peer.root, '')}")
        for round_ in range(14):
            if not self.alone:
                self._ignore_nothing()
            before = [self._head(peer) for peer in self.peers]
            for i, j in self.links:
                done = run("pull", self.peers[i].root, f"p{j}")
                self.say(f"round {round_}, {self.peers[i]}: pull p{j}: {done}")
            same = len(set(before)) == 1 and before == [self._head(peer) for peer in self.peers]
            if same and all(self._is_at_head(peer) for peer in self.peers):
                return
            if same and round_ > 2:
                self._give_up()
        raise self.fail(verdict("not at rest", ", ".join(self._state(peer) for peer in self.peers)))

    def _ignore_nothing(self) -> None:
        """At the end nothing is ignored, so that all that users wrote is everywhere."""
        for peer in self.peers[:1] if self.alone else self.peers:

            def by_user(peer: Peer = peer) -> None:
                before = snapshot(peer.root)
                done = peer.user.ignore_nothing()
                if done is not None:
                    self.say(f"{peer}: ignores nothing any more: {done}")
                    self.oracle.acted(peer.number, peer.root, before, snapshot(peer.root), False)

            self.machine.by_user(by_user)

    def _give_up(self) -> None:
        """What was deleted in the moment after a kill may be back, and its only content gone."""
        for peer in self.peers:
            lacking = missing(peer.root)
            if lacking and all(self.oracle.may_be_gone(path, entry) for path, entry in lacking):
                self.say(f"{peer}: {forget(peer.root)}")
                return

    def _is_at_head(self, peer: Peer) -> bool:
        with Repository(peer.root) as repo:
            return repo.index.base_root() == repo.head_tree

    def _state(self, peer: Peer) -> str:
        with Repository(peer.root) as repo:
            pending = [(each.path, each.cause) for each in repo.index.pending()]
            return f"{peer} at {repo.head.hex()[:8] if repo.head else None}, pending {pending}"

    def _judge(self, wanted: dict[bytes, Any]) -> None:
        roots = [peer.root for peer in self.peers]
        wrong = self.oracle.check_folders(roots) or self.oracle.check_rest(roots, self._round)
        final = snapshot(roots[0])
        if self.alone and final != wanted and not wrong:
            wrong = verdict("alone", "; ".join(differences(wanted, final)))
        wrong = wrong or self.oracle.check_contents(final)
        if wrong:
            raise self.fail(wrong)

    def _round(self) -> None:
        for i, j in self.links:
            run("sync", self.peers[i].root, f"p{j}")


def history(seed: int, base: str, without: frozenset[int] = frozenset()) -> None:
    """Run one below ``base``, which is emptied after it; raises ``WrongError``."""
    place = tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=base)
    try:
        with pytest.MonkeyPatch.context() as patch:
            History(seed, place, patch, without).run()
    finally:
        shutil.rmtree(place)


def shorten(seed: int, base: str) -> frozenset[int]:
    """Leave out steps as long as the history still fails; those that can be left out."""
    without: frozenset[int] = frozenset()
    for step in reversed(range(1, 30)):
        try:
            history(seed, base, without | {step})
        except WrongError:
            without |= {step}
    return without


def main() -> None:
    seed = int(sys.argv[1])
    base = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    without: frozenset[int] = frozenset()
    try:
        if "--without" in sys.argv:
            without = frozenset(map(int, sys.argv[sys.argv.index("--without") + 1].split(",")))
        if "--shorten" in sys.argv:
            without = shorten(seed, base)
            print("without", ",".join(map(str, sorted(without))))
        history(seed, base, without)
        print("all is well")
    except WrongError as failure:
        print(failure)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
