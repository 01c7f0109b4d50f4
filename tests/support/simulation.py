"""Peers in memory that drive the decisions as the synchroniser does: commit as a merge, transitions that stop in part,
kills with a journal, users who edit in between. A history is random, and a function of its seed.

What the model (``merge_model.py``) lacks is here: edits of attributes alone, empty directories and their permissions,
symlinks, equal bytes written again, copies.
"""

import random
from typing import NamedTuple

from tiny_trees import SECOND, MemoryTrees

from replican.decisions.frontier import Forgetful, check_received, join, merge_checkpoint
from replican.decisions.graph import Graph
from replican.decisions.reconcile import reconcile
from replican.decisions.treediff import walk_tree
from replican.values.checkpoints import Author, Checkpoint, id_of
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.names import group_key
from replican.values.paths import is_below, parent_of
from replican.values.trees import DIRECTORY, FILE, LINK, LINK_PERM, Entry


class Node(NamedTuple):
    """What a path holds; ``token`` is its content, empty for a directory."""

    kind: bytes
    perm: int
    mtime: int
    token: str


Rows = dict[bytes, Node]


def group_of(path: bytes) -> bytes:
    above, slash, name = path.rpartition(b"/")
    return above + slash + group_key(name)


class World:
    """What the peers share: the objects (which have ids, so no peer can tell), and what the users did."""

    def __init__(self) -> None:
        self.trees = MemoryTrees()
        self.checkpoints: dict[CheckpointId, Checkpoint] = {}
        self.written: dict[tuple[bytes, str], int] = {}  # (group, token): how often
        self.dropped: set[tuple[bytes, str]] = set()
        self.made: set[bytes] = set()  # directories that were made, empty, under names never used again
        self.used: set[bytes] = set()  # of these: something was put into it
        self.removed: set[bytes] = set()

    def checkpoint(self, checkpoint: CheckpointId, /) -> Checkpoint:
        return self.checkpoints[checkpoint]

    def build(self, rows: Rows) -> TreeId:
        assert all(not (above := parent_of(path)) or rows[above].kind == DIRECTORY for path in rows), rows
        blob = self.trees.blob
        return self.trees.build(
            {
                path: Entry(b"", DIRECTORY, node.perm, 0, 0, b"")
                if node.kind == DIRECTORY
                else Entry(b"", node.kind, node.perm, len(node.token), node.mtime * SECOND, blob(node.token))
                for path, node in rows.items()
            }
        )

    def rows(self, tree: TreeId) -> Rows:
        contents = self.trees.contents
        return {
            path: Node(entry.kind, entry.perm, 0, "")
            if entry.kind == DIRECTORY
            else Node(entry.kind, entry.perm, entry.mtime_ns // SECOND, contents[entry.blob])
            for path, entry in walk_tree(self.trees, tree)
        }


class Peer:
    """``head``: the log. ``index``: what the disk was last known to hold. ``disk``: what it holds.

    ``flight``: paths that a killed transition may or may not have changed, with what it meant to put there.
    ``unsure``: groups of which a user may have deleted something in the very moment after a kill.
    """

    def __init__(self, number: int, world: World) -> None:
        self.number, self.world = number, world
        self.head: CheckpointId | None = None
        self.index: Rows = {}
        self.disk: Rows = {}
        self.flight: dict[bytes, Node | None] = {}
        self.unsure: set[bytes] = set()
        self.graph = Graph(world)
        self.memo = Forgetful()
        self.known: set[CheckpointId] = set()

    # -- what replican does ----------------------------------------------------------------------------------------

    def head_tree(self) -> TreeId:
        return EMPTY_TREE if self.head is None else self.world.checkpoints[self.head].tree

    def commit(self, random_: random.Random) -> None:
        self.recover()
        trees = self.world.trees
        tree = reconcile(trees, self.world.build(self.index), self.head_tree(), self.world.build(self.disk)).tree
        if tree != self.head_tree():
            author = Author("user", f"{self.number:016x}", random_.randint(-5, 5) * SECOND)
            checkpoint = Checkpoint(tree, (self.head,) if self.head else (), author, str(len(self.world.checkpoints)))
            self.head = id_of(checkpoint)
            self.world.checkpoints[self.head] = checkpoint
            self.known.add(self.head)
        self.index = dict(self.disk)  # with the head, or not at all

    def recover(self) -> None:
        """After a kill: look at what lies where the journal says."""
        for path, new in self.flight.items():
            self.unsure.add(group_of(path))
            found, old = self.disk.get(path), self.index.get(path)
            above = parent_of(path)
            known = found in (old, new) and (not above or above in self.index)
            if known and found is None:
                if old is not None:
                    self.forget(path)
            elif known and found is not None and (found.kind == DIRECTORY or old is None or old.kind != DIRECTORY):
                self.index[path] = found
            elif not (found is not None and old is not None and found.kind == DIRECTORY == old.kind):
                # The user was faster: nothing is known, so nothing is taken for removed. (Where a directory still is
                # one, only its permissions are in doubt.)
                group = group_of(path)
                for other in [each for each in self.index if group_of(each) == group]:
                    self.forget(other)
        self.flight = {}

    def forget(self, path: bytes) -> None:
        for below in [each for each in self.index if is_below(each, path)]:
            self.unsure.add(group_of(below))
            del self.index[below]

    def take(self, head: CheckpointId | None, random_: random.Random | None = None) -> None:
        """Merge a head, then bring the disk to it: wholly, or (with ``random_``) as far as it goes."""
        if head is not None:
            received = self.graph.missing([head], self.known)
            check_received(self.graph, self.world.trees, received, self.memo)
            self.known.update(received)
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
        diff = sorted(path for path in want.keys() | disk.keys() if want.get(path) != disk.get(path))
        left_out = {group_of(path) for path in diff if disk.get(path) != self.index.get(path)}
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

    def changes_kind(self, path: bytes, want: Rows) -> bool:
        return path in self.disk and (self.disk[path].kind == DIRECTORY) != (want[path].kind == DIRECTORY)

    def step(self, path: bytes, node: Node | None) -> None:
        """One path, if what is there and above it is still what the index says."""
        above, disk = parent_of(path), self.disk
        old = disk.get(path)
        noted = [disk] if path in self.flight else [disk, self.index]
        if above and (above not in disk or disk[above].kind != DIRECTORY):
            return
        if above and above not in self.flight and self.index.get(above, Node(b"", 0, 0, "")).kind != DIRECTORY:
            return
        if old is not None and old.kind == DIRECTORY and (node is None or node.kind != DIRECTORY):
            if any(each != path and is_below(each, path) for each in disk):
                return
            if any(each != path and is_below(each, path) for each in self.index):
                return
        if node is not None and node.kind == DIRECTORY and old is not None and old.kind != DIRECTORY:
            return
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

    def write(self, path: bytes, node: Node) -> None:
        parts = path.split(b"/")
        for depth in range(1, len(parts)):
            above = b"/".join(parts[:depth])
            if above in self.disk and self.disk[above].kind != DIRECTORY:
                self.drop(above)
            if above not in self.disk:
                self.disk[above] = Node(DIRECTORY, 0o755, 0, "")
            self.world.used.add(above)
        old = self.disk.get(path)
        if old is not None and (old.kind, old.token) != (node.kind, node.token):
            self.drop(path)
        self.disk[path] = node
        if node.kind != DIRECTORY:
            key = (group_of(path), node.token)
            self.world.written[key] = self.world.written.get(key, 0) + 1


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


NAMES = [b"a", b"b", b"d/x", b"d/y", b"d/e/z", b"d", b"d/e", b"g.txt"]


def history(seed: int, partial: bool = False) -> str | None:
    """Run one; None if all is well, else what is not."""
    random_ = random.Random(seed)
    world = World()
    peers = [Peer(number, world) for number in range(random_.randint(2, 5))]
    topology = random_.choice(["star", "ring", "chain", "mesh", "oneway"])
    links = links_of(topology, len(peers))
    for fresh in range(1, random_.randint(5, 60) + 1):
        peer = random_.choice(peers)
        what = random_.random()
        if what < 0.6:
            _act(random_, peer, fresh)
        elif what < 0.7:
            peer.commit(random_)
        elif what < 0.85:
            one, other = (peers[at] for at in random_.choice(links))
            one.commit(random_)
            other.commit(random_)
            one.take(other.head)
        elif what < 0.92:
            one, other = (peers[at] for at in random_.choice(links))
            one.commit(random_)
            other.commit(random_)
            one.take(other.head, random_ if partial else None)
        else:
            for each in peers:
                each.commit(random_)
            heads = [each.head for each in peers]
            for i, j in random_.sample(links, random_.randint(1, len(links))):  # at the same moment: old heads
                peers[i].take(heads[j])
    return _settle(random_, world, peers, links, at_once=seed % 2 == 0) or _judge(world, peers)


def _act(random_: random.Random, peer: Peer, fresh: int) -> None:
    """Something that a user does."""
    world, disk = peer.world, peer.disk
    files = sorted(path for path, node in disk.items() if node.kind != DIRECTORY)
    directories = sorted(path for path, node in disk.items() if node.kind == DIRECTORY)
    what, mtime = random_.random(), random_.randint(0, 5)
    if what < 0.45 or not disk:
        path = random_.choice([*NAMES, *files[:5], *(each + b"/in" for each in directories[:2])])
        token = f"t{fresh}"
        if random_.random() < 0.1:  # bytes that somebody else may write, too, or that were there before
            token = random_.choice(["common", "usual"])
        kind = LINK if random_.random() < 0.1 else FILE
        peer.write(path, Node(kind, LINK_PERM if kind == LINK else 0o644, mtime, token))
    elif what < 0.60:
        peer.drop(random_.choice(sorted(disk)))
    elif what < 0.68 and files:
        old = random_.choice(files)
        node = disk[old]
        peer.drop(old)
        peer.write(b"new%d" % fresh, node)
    elif what < 0.72 and files:
        peer.write(b"copy%d" % fresh, disk[random_.choice(files)])
    elif what < 0.80:
        made = (
            b"made%d" % fresh
            if not directories
            else random_.choice([b"", *(d + b"/" for d in directories)]) + (b"made%d" % fresh)
        )
        peer.write(made, Node(DIRECTORY, 0o755, 0, ""))
        world.made.add(made)
    elif what < 0.90 and files:
        path = random_.choice(files)
        node = disk[path]
        if node.kind == FILE and random_.random() < 0.6:
            node = node._replace(perm=random_.choice([0o600, 0o644, 0o755, 0o640]))
        if random_.random() < 0.6:
            node = node._replace(mtime=mtime)
        disk[path] = node
    elif directories:
        path = random_.choice(directories)
        disk[path] = disk[path]._replace(perm=random_.choice([0o700, 0o755, 0o750]))


def _settle(
    random_: random.Random, world: World, peers: list[Peer], links: list[tuple[int, int]], at_once: bool
) -> str | None:
    for peer in peers:
        peer.commit(random_)
        peer.transition()
    for _ in range(20):
        before = [peer.head for peer in peers]
        for i, j in links:
            if not at_once:
                peers[i].commit(random_)
                peers[j].commit(random_)
            peers[i].take(before[j] if at_once else peers[j].head)
        for peer in peers:
            peer.commit(random_)
            peer.transition()
        if [peer.head for peer in peers] == before:
            break
    else:
        return "no rest"
    if len({peer.head for peer in peers}) > 1:
        return "heads differ"
    for peer in peers:
        if world.build(peer.disk) != peer.head_tree() or world.build(peer.index) != peer.head_tree():
            return f"peer {peer.number} is not at its head"
    return None


def _judge(world: World, peers: list[Peer]) -> str | None:
    """Nothing lost, nothing back."""
    final = peers[0].disk
    unsure = {group for peer in peers for group in peer.unsure}
    there = {(group_of(path), node.token) for path, node in final.items() if node.kind != DIRECTORY}
    for group, token in world.written:
        if (group, token) not in there and (group, token) not in world.dropped:
            return f"lost {token} of {group!r}"
    for group, token in there & world.dropped:
        if world.written.get((group, token), 0) < 2 and group not in unsure:
            return f"back {token} of {group!r}"
    for path in world.made - world.used:
        replaced = world.removed | {group for group, _ in world.written}
        if path not in final and not any(is_below(path, each) for each in replaced):
            return f"lost directory {path!r}"
        if path in final and path in world.removed and path not in unsure:
            return f"back directory {path!r}"
    return None
