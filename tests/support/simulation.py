"""Peers in memory that drive the decisions as the synchroniser does: commit as a merge, transitions that stop in part,
kills with a journal. What their users do, and the histories, are in ``pure_histories.py``.

What the model (``merge_model.py``) lacks is here: edits of attributes alone, empty directories and their permissions,
symlinks, equal bytes written again, copies, ignore files.

Here a look at the disk shows what it holds. That it may miss something (a rewrite of as many bytes within one tick of
the clock, an unreadable path, a file in the trash that is written to) is a matter of the scan alone, and no decision
is asked about it: such things are in the histories of real folders (``torture.py``).
"""

import random
from collections import Counter
from typing import NamedTuple

from forgetful import Forgetful
from pure_units import UNIT, entries_of, token_in
from tiny_trees import SECOND, MemoryTrees

from replican.decisions.frontier import check_received, join, merge_checkpoint
from replican.decisions.graph import Graph
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import walk_tree
from replican.decisions.units import units_in_new
from replican.values.checkpoints import PLAIN_RULES, RULES, Author, Checkpoint, id_of
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.names import group_key
from replican.values.paths import is_below, parent_of
from replican.values.trees import DIRECTORY, Entry


class Node(NamedTuple):
    """What a path holds; ``token`` is its content, empty for a directory. A unit is a node without any below it."""

    kind: bytes
    perm: int
    mtime: int
    token: str


Rows = dict[bytes, Node]

IGNORE = b"ignore"
"""The ignore file. What follows the colon in its token are beginnings of names, at any depth, that are not recorded
from then on: but those that the index has."""


def group_of(path: bytes) -> bytes:
    above, slash, name = path.rpartition(b"/")
    return above + slash + group_key(name)


class World:
    """What the peers share: the objects (which have ids, so no peer can tell), and what the users did."""

    def __init__(self) -> None:
        self.trees = MemoryTrees()
        self._built: dict[frozenset[tuple[bytes, Node]], TreeId] = {}
        self._listed: dict[TreeId, Rows] = {}
        self.checkpoints: dict[CheckpointId, Checkpoint] = {}
        self.written: dict[tuple[bytes, str], int] = {}  # (group, token): how often
        self.dropped: set[tuple[bytes, str]] = set()
        self.hands: dict[tuple[bytes, str], set[int]] = {}
        self.made: Counter[bytes] = Counter()  # directories: how often
        self.used: set[bytes] = set()  # of these: something was put into it
        self.removed: set[bytes] = set()
        self.units = {""}  # what a user had in front of them as one

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        return self.checkpoints[checkpoint]

    def build(self, rows: Rows) -> TreeId:
        key = frozenset(rows.items())
        known = self._built.get(key)
        if known is None:
            known = self._built[key] = self._build(rows)
        return known

    def _build(self, rows: Rows) -> TreeId:
        assert all(not (above := parent_of(path)) or rows[above].kind == DIRECTORY for path in rows), rows
        blob = self.trees.blob
        entries: dict[bytes, Entry] = {}
        for path, node in rows.items():
            if node.kind == UNIT:
                entries.update(entries_of(self.trees, path, node.perm, node.token))
            elif node.kind == DIRECTORY:
                entries[path] = Entry(b"", DIRECTORY, node.perm, 0, 0, b"")
            else:
                time_ns = node.mtime * SECOND
                entries[path] = Entry(b"", node.kind, node.perm, len(node.token), time_ns, blob(node.token))
        return self.trees.build(entries)

    def rows(self, tree: TreeId) -> Rows:
        """What the tree holds; not to be changed."""
        known = self._listed.get(tree)
        if known is None:
            known = self._listed[tree] = self._rows(tree)
        return known

    def _rows(self, tree: TreeId) -> Rows:
        contents = self.trees.contents
        rows: Rows = {}
        unit = None
        for path, entry in walk_tree(self.trees, tree):
            if unit is not None and is_below(path, unit):
                continue
            if entry.is_unit:
                unit = path
                rows[path] = Node(UNIT, entry.perm, 0, token_in(self.trees, entry.tree))
            elif entry.kind == DIRECTORY:
                rows[path] = Node(DIRECTORY, entry.perm, 0, "")
            else:
                rows[path] = Node(entry.kind, entry.perm, entry.mtime_ns // SECOND, contents[entry.blob])
        return rows


class Peer:
    """``head``: the log. ``index``: what the disk was last known to hold. ``disk``: what it holds.

    ``flight``: paths that a killed transition may or may not have changed, with what it meant to put there.
    ``unsure``: groups of which a user may have deleted something in the very moment after a kill. ``known`` are the
    checkpoints that it has, ``fetched`` the heads of others as it knows them, ``promised`` the rows that come with a
    head, ``refused`` the groups that cannot be written for now, ``offline`` until which step nobody reaches it.
    """

    def __init__(self, number: int, world: World) -> None:
        self.number, self.world = number, world
        self.head: CheckpointId | None = None
        self.index: Rows = {}
        self.disk: Rows = {}
        self.flight: dict[bytes, Node | None] = {}
        self.unsure: set[bytes] = set()
        self.known: set[CheckpointId] = set()
        self.fetched: dict[int, CheckpointId] = {}
        self.promised: tuple[CheckpointId, Rows] | None = None
        self.refused: set[bytes] = set()
        self.offline = 0
        self.writes = 0
        self.offset = 0
        self.restart()

    # -- what replican does ----------------------------------------------------------------------------------------

    def seen(self) -> Rows:
        """What a look at the disk shows: all but what is ignored, and directories that hold nothing else."""
        rules = self.disk.get(IGNORE)
        names = b"" if rules is None else rules.token.partition(":")[2].encode()
        ignored = tuple(each for each in names.split(b",") if each)
        if not ignored:
            return dict(self.disk)
        seen: Rows = {}
        for path, node in sorted(self.disk.items()):
            above, _, name = path.rpartition(b"/")
            if path in self.index or ((not above or above in seen) and not name.startswith(ignored)):
                seen[path] = node
        for path in sorted(seen, reverse=True):
            known = path in self.index and self.index[path].kind == DIRECTORY
            if seen[path].kind != DIRECTORY or known or not self._below(path, self.disk):
                continue
            if not self._below(path, seen):
                del seen[path]
        return seen

    @staticmethod
    def _below(path: bytes, rows: Rows) -> bool:
        return any(each != path and is_below(each, path) for each in rows)

    def restart(self) -> None:
        """A new process: nothing is remembered but what is on the disk."""
        self.graph = Graph(self)
        self.memo = Forgetful()

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        """What it has of the log; to ask for anything else is a mistake."""
        assert checkpoint in self.known, "a checkpoint that is not here"
        return self.world.checkpoints[checkpoint]

    def graph_has(self, head: CheckpointId) -> bool:
        """Whether its own head comes from that one."""
        return head in self.known and self.head is not None and self.graph.is_ancestor(head, self.head)

    def tend(self) -> None:
        """gc without a grace: the log keeps what a head needs."""
        heads = [each for each in (self.head, *self.fetched.values()) if each is not None]
        self.known = self.graph.closure(heads)
        self.restart()

    def head_tree(self) -> TreeId:
        return EMPTY_TREE if self.head is None else self.world.checkpoints[self.head].tree

    def commit(self, random_: random.Random, killed: str = "") -> None:
        """``killed`` names the point where it ends: "observed", "promised" (the head has not moved) or "moved"."""
        self.recover()
        trees, seen = self.world.trees, self.seen()
        tree = reconcile(trees, self.world.build(self.index), self.head_tree(), self.world.build(seen)).tree
        if tree != self.head_tree():
            author = Author("user", f"{self.number:016x}", (self.offset + random_.randint(-5, 5)) * SECOND)
            rules = PLAIN_RULES if self.head is None else self.world.checkpoints[self.head].rules
            rules = RULES if units_in_new(trees, self.head_tree(), tree) else rules
            message = str(len(self.world.checkpoints))
            checkpoint = Checkpoint(tree, (self.head,) if self.head else (), author, message, rules)
            made = id_of(checkpoint)
            if killed == "observed":
                return
            self.promised = made, seen
            if killed == "promised":
                return
            self.head = made
            self.world.checkpoints[made] = checkpoint
            self.known.add(made)
            if killed:
                return
        self.promised = None
        self.index = seen  # with the head, or not at all

    def recover(self) -> None:
        """After a kill: look at what lies where the journal says."""
        if self.promised is not None:
            head, rows = self.promised
            if head == self.head:
                self.index = rows
            self.promised = None
        # First what went, those below first: a file may have come in the place of a directory.
        gone = sorted(self.flight.keys() - self.disk.keys(), reverse=True)
        for path in (*gone, *sorted(self.flight.keys() & self.disk.keys())):
            new = self.flight[path]
            self.unsure.add(group_of(path))
            found, old = self.disk.get(path), self.index.get(path)
            above = parent_of(path)
            known = found in (old, new) and self._is_known_directory(above)
            if known and found is None:
                if old is not None:
                    self.forget(path)
            elif known and found is not None and (found.kind == DIRECTORY or not self._below(path, self.index)):
                self.index[path] = found
            elif not (found is not None and old is not None and found.kind == DIRECTORY == old.kind):
                # The user was faster: nothing is known, so nothing is taken for removed. (Where a directory still is
                # one, only its permissions are in doubt.)
                group = group_of(path)
                for other in [each for each in self.index if group_of(each) == group]:
                    self.forget(other)
        self.flight = {}

    def _is_known_directory(self, path: bytes) -> bool:
        return not path or (path in self.index and self.index[path].kind == DIRECTORY)

    def forget(self, path: bytes) -> None:
        for below in [each for each in self.index if is_below(each, path)]:
            self.unsure.add(group_of(below))
            del self.index[below]

    def fetch(self, other: "Peer") -> None:
        """Take over the other's log, verified."""
        if other.head is None:
            return
        received = other.graph.missing([other.head], self.known)
        self.known.update(received)
        check_received(self.graph, self.world.trees, received, self.memo)
        self.fetched[other.number] = other.head

    def merge(self, other: "Peer", random_: random.Random | None = None) -> None:
        self.take(self.fetched.get(other.number), random_)

    def take(self, head: CheckpointId | None, random_: random.Random | None = None) -> None:
        """Merge a head, then bring the disk to it: wholly, or (with ``random_``) as far as it goes."""
        joined = join(self.graph, self.head, head)
        self.head = joined.head
        if joined.head is None and joined.frontier:
            self.head, checkpoint = merge_checkpoint(self.graph, self.world.trees, joined.frontier, self.memo)
            self.world.checkpoints[self.head] = checkpoint
        if self.head is not None:
            self.known.add(self.head)
        self.transition(random_)

    def transition(self, random_: random.Random | None = None) -> None:
        want, disk = self.world.rows(self.head_tree()), self.disk
        mode = random_.random() if random_ else 1.0
        diff = sorted(path for path in want.keys() | self.seen().keys() if want.get(path) != disk.get(path))
        left_out = {group_of(path) for path in diff if disk.get(path) != self.index.get(path)} | self.refused
        left_out |= self._gone_and_kept(want)
        if random_ and mode < 0.4:
            left_out |= {group_of(path) for path in diff if random_.random() < 0.3}
        diff = [path for path in diff if group_of(path) not in left_out]
        copies = [path for path in diff if path in want and group_of(path) != path]
        gone = [path for path in reversed(diff) if path not in want or self.changes_kind(path, want)]
        come = [path for path in diff if path in want and group_of(path) == path]
        steps = [*((path, None) for path in gone), *((path, want[path]) for path in (*copies, *come))]
        if random_ and mode < 0.4 and random_.random() < 0.5:
            steps.sort(key=lambda step: step[1] is None)  # what comes first, where it can
        end = len(steps)
        if random_ and 0.4 <= mode < 0.8:
            end = random_.randint(0, len(steps))
            if end < len(steps):
                batch = steps[max(0, end - random_.randint(0, 3)) : end + random_.randint(0, 3)]
                self.flight = {path: want.get(path) for path, _ in batch}
        for path, node in steps[:end]:
            self.step(path, node)

    def _gone_and_kept(self, want: Rows) -> set[bytes]:
        """Where a user has deleted a version that the head keeps under another name of the group: without its row
        nobody would ever know of that."""
        gone = {
            (group_of(path), node.kind, node.token)
            for path, node in self.index.items()
            if node.kind != DIRECTORY and path not in self.disk
        }
        if not gone:
            return set()
        kept = {(group_of(path), node.kind, node.token) for path, node in want.items()}
        return {group for group, _, _ in gone & kept}

    def changes_kind(self, path: bytes, want: Rows) -> bool:
        return path in self.disk and (self.disk[path].kind == DIRECTORY) != (want[path].kind == DIRECTORY)

    def step(self, path: bytes, node: Node | None) -> None:
        """One path, if what is there and above it is still what the index says."""
        above, disk = parent_of(path), self.disk
        old = disk.get(path)
        noted = [disk] if path in self.flight else [disk, self.index]
        if above and (above not in disk or disk[above].kind != DIRECTORY):
            return
        if above not in self.flight and not self._is_known_directory(above):
            return
        if old is not None and old.kind == DIRECTORY and (node is None or node.kind != DIRECTORY):
            if self._below(path, self.index):
                return
            if self._below(path, disk):
                if node is None and path not in self.flight:
                    self.index.pop(path, None)  # what keeps it on the disk is not the log's concern
                return
        if node is not None and node.kind == DIRECTORY and old is not None and old.kind != DIRECTORY:
            return
        self.writes += 1
        for rows in noted:
            if node is None:
                rows.pop(path, None)
            else:
                rows[path] = node

    # -- what its user does ------------------------------------------------------------------------------------------

    def drop(self, path: bytes) -> None:
        """Delete a path with all that is below it."""
        world = self.world
        gone = [each for each in self.disk if is_below(each, path)]
        nodes = {each: self.disk.pop(each) for each in gone}
        for each, node in nodes.items():
            group = group_of(each)
            if node.kind == DIRECTORY:
                world.removed.add(each)
            elif not any(
                node.token == other.token and node.kind == other.kind and group_of(at) == group
                for at, other in self.disk.items()
            ):
                world.dropped.add((group, node.token))
                world.hands.setdefault((group, node.token), set()).add(self.number)

    def write(self, path: bytes, node: Node) -> None:
        parts = path.split(b"/")
        for depth in range(1, len(parts)):
            above = b"/".join(parts[:depth])
            if above in self.disk and self.disk[above].kind != DIRECTORY:
                self.drop(above)
            if above not in self.disk:
                self.disk[above] = Node(DIRECTORY, 0o755, 0, "")
                self.world.made[above] += 1
            self.world.used.add(above)
        old = self.disk.get(path)
        if old is not None and (old.kind, old.token) != (node.kind, node.token):
            self.drop(path)
        self.disk[path] = node
        if node.kind == DIRECTORY:
            self.world.made[path] += 1
        else:
            key = (group_of(path), node.token)
            if node.kind == UNIT:
                self.world.units.add(node.token)
            self.world.written[key] = self.world.written.get(key, 0) + 1
            hands = self.world.hands.setdefault(key, set())
            hands.add(self.number)
            if len(hands) == 1:
                self.world.dropped.discard(key)  # made again by the only one who ever had a hand in it


def links_of(topology: str, count: int) -> list[tuple[int, int]]:
    """Who pulls from whom."""
    around = [(i, (i + 1) % count) for i in range(count)]
    line = [(i, i + 1) for i in range(count - 1)]
    hub = [(0, i) for i in range(1, count)]
    return {
        "star": hub + [(i, 0) for i in range(1, count)],
        "ring": around + [(j, i) for i, j in around],
        "chain": line + [(j, i) for i, j in line],
        "mesh": [(i, j) for i in range(count) for j in range(count) if i != j],
        "oneway": around,
    }[topology]
