"""What of a log somebody else lacks: the checkpoints above those that they have, and the trees that these brought."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from replican.effects.forms import CHECKPOINT, TREE, parse_as_checkpoint, parse_as_tree
from replican.effects.objects import ObjectStore
from replican.values.errors import ReplicanError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.trees import DIRECTORY, Entry


class Sent(NamedTuple):
    """An object on its way: its kind and its payload."""

    kind: bytes
    payload: bytes


def log_above(
    objects: ObjectStore, heads: Iterable[CheckpointId], have: Collection[CheckpointId], most: int
) -> Iterator[Sent]:
    """The nearest checkpoints (``most`` at most) that ``heads`` come from, down to those in ``have``, and the trees
    that they have and their parents have not.

    Who has a checkpoint has its trees. Raises ``NotFoundError`` or ``DamagedError`` on the way.
    """
    walk = _Trees(objects)
    seen = set(have)
    waiting = deque(heads)
    while waiting and most:
        at = waiting.popleft()
        if at in seen:
            continue
        seen.add(at)
        payload = objects.payload(CHECKPOINT, at)
        checkpoint = parse_as_checkpoint(at, payload)
        yield Sent(CHECKPOINT, payload)
        yield from walk.new(checkpoint.tree, [objects.checkpoint(parent).tree for parent in checkpoint.parents])
        waiting.extend(checkpoint.parents)
        most -= 1


def objects_by_id(objects: ObjectStore, ids: Iterable[bytes], *, below: bool) -> Iterator[Sent]:
    """Those of ``ids`` that are here and whole; with ``below``, every tree below them, too."""
    walk = _Trees(objects)
    for id in ids:
        try:
            kind, payload = objects.read(id)
        except ReplicanError:
            continue
        if kind == TREE and below:
            yield from walk.new(TreeId(id), [])
        else:
            yield Sent(kind, payload)


class _Trees:
    """Walks trees against those that are known at the same path, and sends none twice."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._sent: set[bytes] = {EMPTY_TREE}
        self._whole: set[bytes] = {EMPTY_TREE}
        """Those that were sent with all below them."""

    def new(self, tree: TreeId, olds: list[TreeId]) -> Iterator[Sent]:
        """The trees at and below ``tree`` that are not below ``olds``, as far as that is seen where they differ.

        One that was sent for another checkpoint is walked through again: what had been left out below it, since that
        one's parents have it, may be what these lack.
        """
        old: set[bytes] = set()
        met = set() if olds else self._whole
        stack = [(tree, olds)]
        while stack:
            at, there = stack.pop()
            if at in met or at in self._whole or at in old or at in there:
                continue
            met.add(at)
            payload = self._objects.payload(TREE, at)
            below = [_directories(self._objects.tree(each)) for each in there]
            for names in below:
                old.update(names.values())  # what was moved is known, too
            if at not in self._sent:
                self._sent.add(at)
                yield Sent(TREE, payload)
            stack += [
                (TreeId(id), [names[name] for names in below if name in names])
                for name, id in _directories_in(at, payload).items()
            ]


def _directories_in(tree: TreeId, payload: bytes) -> dict[bytes, TreeId]:
    # Most trees have none, and most of these do not even hold what the entry of one begins with.
    may_have_some = any(beginning in payload for beginning in _BEGINNINGS)
    return _directories(parse_as_tree(tree, payload)) if may_have_some else {}


_BEGINNINGS: Final = (DIRECTORY + b"0", DIRECTORY + b"1")
"""What entries of directories begin with: their kind, and the first digit of what they may be."""


def _directories(entries: Iterable[Entry]) -> dict[bytes, TreeId]:
    return {entry.name: entry.tree for entry in entries if entry.kind == DIRECTORY}
