"""Random histories of peers in memory (``simulation.py``), thousands a minute, and what has to be true at their end.

A history is a function of its seed; any of its steps can be left out, and the others stay what they are. To see one:

    python tests/support/pure_histories.py SEED [--partial] [--shorten]
"""

import random
import sys
import traceback

from pure_units import UNIT
from pure_users import ACTIONS, NAMES, User
from simulation import IGNORE, Node, Peer, World, group_of, links_of
from verdicts import broke_off, verdict

from replican.decisions.reconcile import conflicts_in
from replican.values.errors import RemoteError
from replican.values.names import is_copy_name
from replican.values.paths import is_below
from replican.values.trees import DIRECTORY

DAY = 86_400
KILLS = ("observed", "promised", "moved")


class History:
    """``log`` gets what happens, in words, where there is one."""

    def __init__(self, seed: int, partial: bool, without: frozenset[int], log: list[str] | None) -> None:
        self.seed, self.partial, self.without, self.log = seed, partial, without, log
        rng = random.Random(seed)
        self.world = World()
        self.peers = [Peer(number, self.world) for number in range(rng.randint(2, 5))]
        for peer in self.peers:
            if rng.random() < 0.3:
                peer.offset = rng.randint(-400, 400) * DAY
        self.topology = rng.choice(["star", "ring", "chain", "mesh", "oneway"])
        self.links = links_of(self.topology, len(self.peers))
        self.steps = rng.randint(5, 60)
        self.alone = rng.random() < 0.15
        self.step = 0
        self.say(f"{len(self.peers)} peers, {self.topology}{', only p0 is edited' if self.alone else ''}")

    def say(self, text: str) -> None:
        if self.log is not None:
            self.log.append(f"{self.step:3} {text}")

    def run(self) -> str | None:
        """None if all is well, else what is not."""
        for step in range(1, self.steps + 1):
            self.step = step
            if step not in self.without:
                self._one_step(random.Random(self.seed * 1009 + step))
                if mixed := self._mixed():
                    return mixed
        self.step = 0
        rng = random.Random(self.seed + 1)
        self._ignore_nothing()
        wanted = dict(self.peers[0].disk)
        return self._settle(rng, at_once=self.seed % 2 == 0) or self._mixed() or self._judge(wanted)

    def _mixed(self) -> str | None:
        """A unit that nobody ever had in front of them."""
        for peer in self.peers:
            for path, node in peer.disk.items():
                if node.kind == UNIT and node.token not in self.world.units:
                    return verdict("mixed", f"{path!r} of peer {peer.number}: {node.token}")
        return None

    # -- steps -----------------------------------------------------------------------------------------------------

    def _one_step(self, rng: random.Random) -> None:
        what = rng.random()
        if what < 0.56:
            self._act(rng, self.peers[0] if self.alone else rng.choice(self.peers))
        elif what < 0.64:
            peer = rng.choice(self.peers)
            killed = rng.choice(KILLS) if self.partial and rng.random() < 0.3 else ""
            peer.commit(rng, killed)
            self.say(f"p{peer.number} commits{killed and ', killed: ' + killed}")
            if killed and rng.random() < 0.5 and not self.alone:
                self._act(rng, peer)
        elif what < 0.90:
            self._between_two(rng)
        elif what < 0.95:
            self._all_at_once(rng)
        else:
            self._to_one(rng, rng.choice(self.peers))

    def _to_one(self, rng: random.Random, peer: Peer) -> None:
        what = rng.choice(["restart", "gc", "offline", "refused"])
        if what == "restart":
            peer.restart()
        elif what == "gc":
            peer.tend()
        elif what == "offline":
            peer.offline = self.step + rng.randint(1, 20)
        elif self.partial:
            groups = sorted({group_of(path) for path in (*peer.disk, *NAMES)})
            peer.refused = set() if peer.refused else set(rng.sample(groups, min(3, len(groups))))
        self.say(f"p{peer.number}: {what} {sorted(peer.refused)}")

    def _between_two(self, rng: random.Random) -> None:
        one, other = (self.peers[at] for at in rng.choice(self.links))
        how = rng.choices(["pull", "push", "fetch", "merge", "partial"], [8, 3, 2, 2, 5])[0]
        if how != "merge" and max(one.offline, other.offline) >= self.step:
            return
        torn = rng if self.partial and how == "partial" else None
        self.say(f"p{one.number}: {how} p{other.number}")
        if how == "fetch":
            one.fetch(other)
            return
        one.commit(rng)
        if how == "push":
            other.commit(rng)
            if other.head is None or (one.head is not None and one.graph_has(other.head)):
                other.fetch(one)
                other.merge(one)
            return
        if how != "merge":
            other.commit(rng)
            one.fetch(other)
        one.merge(other, torn)
        if one.flight and not self.alone:
            self.say(f"    killed; in its journal: {sorted(one.flight)}")
            if rng.random() < 0.5:
                self._act(rng, one, sorted(one.flight))

    def _all_at_once(self, rng: random.Random) -> None:
        """Pulls at the same moment: each takes the head that the other had before it."""
        self.say("all pull at once")
        reached = [each for each in self.peers if each.offline < self.step]
        for each in reached:
            each.commit(rng)
        links = [(self.peers[i], self.peers[j]) for i, j in rng.sample(self.links, rng.randint(1, len(self.links)))]
        links = [(one, other) for one, other in links if one in reached and other in reached]
        for one, other in links:
            one.fetch(other)
        for one, other in links:
            one.merge(other)

    # -- users -----------------------------------------------------------------------------------------------------

    def _act(self, rng: random.Random, peer: Peer, among: list[bytes] | None = None) -> None:
        """Something that a user does; to one of the paths ``among``, where it is there."""
        there = [path for path in among or () if path in peer.disk]
        paths = sorted(there or peer.disk)
        files = [path for path in paths if peer.disk[path].kind not in (DIRECTORY, UNIT)]
        units = [path for path in paths if peer.disk[path].kind == UNIT]
        directories = [path for path in paths if peer.disk[path].kind == DIRECTORY]
        mtime = peer.offset + rng.randint(0, 5)
        if rng.random() < 0.03:
            mtime += rng.choice([-400, 400]) * DAY
        names = list(ACTIONS)
        name = rng.choices(names, [ACTIONS[each][0] for each in names])[0] if paths else "write"
        user = User(rng, peer, self.step, mtime, files, directories, units)
        done = ACTIONS[name][1](user)
        self.say(f"p{peer.number}'s user: {name} {done}")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _settle(self, rng: random.Random, at_once: bool) -> str | None:
        for peer in self.peers:
            peer.refused, peer.offline = set(), 0
            peer.commit(rng)
            peer.transition()
        for _ in range(20):
            self._ignore_nothing()
            before = [peer.head for peer in self.peers]
            self._round(rng, at_once)
            if [peer.head for peer in self.peers] == before:
                break
        else:
            return verdict("not at rest")
        if len({peer.head for peer in self.peers}) > 1:
            return verdict("unequal", "heads differ")
        for peer in self.peers:
            if self.world.build(peer.disk) != peer.head_tree() or self.world.build(peer.index) != peer.head_tree():
                return verdict("unsound", f"peer {peer.number} is not at its head")
        writes, heads, disks = [p.writes for p in self.peers], before, [dict(p.disk) for p in self.peers]
        self._round(rng, at_once=not at_once)
        if [(p.writes, p.head, p.disk) for p in self.peers] != list(zip(writes, heads, disks, strict=True)):
            return verdict("not at rest", "a further round writes")
        return None

    def _ignore_nothing(self) -> None:
        """At the end nothing is ignored, so that all that users wrote is everywhere."""
        for peer in self.peers[:1] if self.alone else self.peers:
            if IGNORE in peer.disk:
                self.say(f"p{peer.number}: ignores nothing any more")
                peer.drop(IGNORE)

    def _round(self, rng: random.Random, at_once: bool) -> None:
        links = [(self.peers[i], self.peers[j]) for i, j in self.links]
        if at_once:
            for one, other in links:
                one.fetch(other)
            for one, other in links:
                one.merge(other)
        else:
            for one, other in links:
                one.commit(rng)
                other.commit(rng)
                one.fetch(other)
                one.merge(other)
        for peer in self.peers:
            peer.commit(rng)
            peer.transition()

    def _judge(self, wanted: dict[bytes, Node]) -> str | None:
        """Nothing lost, nothing back, the same conflicts everywhere; of a single user, exactly what they left."""
        world = self.world
        lists = [list(conflicts_in(world.trees, world.build(peer.disk))) for peer in self.peers]
        if any(each != lists[0] for each in lists):
            return verdict("conflicts")
        final = self.peers[0].disk
        if self.alone and (final != wanted or any(is_copy_name(path.rpartition(b"/")[2]) for path in final)):
            return verdict("alone")
        unsure = {group for peer in self.peers for group in peer.unsure}
        there = {(group_of(path), node.token) for path, node in final.items() if node.kind != DIRECTORY}
        for key in world.written:
            if key not in there and key not in world.dropped:
                return verdict("lost", f"{key[1]} of {key[0]!r}")
        for key in there & world.dropped:
            if world.written.get(key, 0) < 2 and key[0] not in unsure:
                return verdict("back", f"{key[1]} of {key[0]!r}")
        standing = {path for path, node in final.items() if node.kind == DIRECTORY}
        gone = {*world.removed, *(group for group, _ in world.written)}
        for path, times in world.made.items():
            if path not in standing and not any(is_below(path, each) for each in gone):
                return verdict("lost", f"directory {path!r}")
            doubted = path in world.used or group_of(path) in unsure  # as for files: by its group
            if path in standing & world.removed and times < 2 and not doubted:
                return verdict("back", f"directory {path!r}")
        return None


def history(
    seed: int, partial: bool = False, without: frozenset[int] = frozenset(), log: list[str] | None = None
) -> str | None:
    """Run one; None if all is well, else what is not, or how it broke off."""
    try:
        return History(seed, partial, without, log).run()
    except RemoteError as error:
        return verdict("refused", error.message)
    except Exception as error:
        return broke_off("".join(traceback.format_exception(error)))


def shorten(seed: int, partial: bool) -> frozenset[int]:
    """Leave out steps as long as the history still fails; those that can be left out."""
    without = frozenset[int]()
    for step in range(60, 0, -1):
        if history(seed, partial, without | {step}):
            without |= {step}
    return without


def main() -> None:
    seed, partial = int(sys.argv[1]), "--partial" in sys.argv
    without = shorten(seed, partial) if "--shorten" in sys.argv else frozenset[int]()
    log: list[str] = []
    failure = history(seed, partial, without, log)
    print("\n".join(log), failure or "all is well", sep="\n")


if __name__ == "__main__":
    main()
