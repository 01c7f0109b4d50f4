"""What differs between two trees. Reads only what differs; nothing recurses, trees may be thousands deep."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from replican.values.ids import TreeId
from replican.values.trees import DIRECTORY, Entry, TreeReader

ADDED: Final = "added"
MODIFIED: Final = "modified"
DELETED: Final = "deleted"
RETYPED: Final = "type changed"
ATTRIBUTES: Final = "attributes changed"


class Change(NamedTuple):
    """One path that two trees hold differently. ``old`` or ``new`` is None where the path is not there.

    A directory that is there on one side only is one change: :func:`walk_tree` tells what it holds.
    """

    path: bytes
    old: Entry | None
    new: Entry | None

    @property
    def word(self) -> str:
        """What it is, as all commands say it."""
        old, new = self.old, self.new
        if old is None or new is None:
            return ADDED if old is None else DELETED
        if old.kind != new.kind:
            return RETYPED
        is_same = old.perm != new.perm if old.kind == DIRECTORY else old.id == new.id
        return ATTRIBUTES if is_same else MODIFIED


class Tally(NamedTuple):
    """How many files and links two trees differ in.

    ``deleted`` does not count those whose content came elsewhere: these are ``moved``, and not ``added`` either.
    """

    added: int
    deleted: int
    moved: int
    changed: int

    @classmethod
    def total(cls, tallies: Iterable["Tally"]) -> "Tally":
        """What several changes, one after the other, come to."""
        return cls(*map(sum, zip((0, 0, 0, 0), *tallies, strict=True)))


def diff_trees(reader: TreeReader, old: TreeId, new: TreeId) -> Iterator[Change]:
    """The changes from ``old`` to ``new``, in the order of a walk: a directory before what it holds, names sorted.

    A directory on both sides is a change of its own only if its permissions differ, or if it is a unit in ``new`` and
    something in it differs (which follows, as in any directory); a file here and a directory there of the same name
    are one change with both entries.
    """
    if old == new:
        return
    stack = [(b"", _pairs(reader.tree(old), reader.tree(new)))]
    while stack:
        prefix, pairs = stack[-1]
        for name, before, after in pairs:
            path = prefix + name
            if before is not None and after is not None and before.kind == DIRECTORY == after.kind:
                if before.perm != after.perm or after.is_unit:
                    yield Change(path, before, after)
                if before.id != after.id:
                    stack.append((path + b"/", _pairs(reader.tree(before.tree), reader.tree(after.tree))))
                    break
            else:
                yield Change(path, before, after)
        else:
            stack.pop()


def _pairs(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[tuple[bytes, Entry | None, Entry | None]]:
    """The names that two listings hold differently, sorted."""
    left, right = {entry.name: entry for entry in old}, {entry.name: entry for entry in new}
    names = [name for name, entry in left.items() if right.get(name) != entry]
    names += [name for name in right if name not in left]
    names.sort()
    return iter([(name, left.get(name), right.get(name)) for name in names])


def walk_tree(reader: TreeReader, tree: TreeId, prefix: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
    """Every path below ``tree`` with its entry, a directory before what it holds, names sorted.

    ``prefix`` is the path of ``tree`` itself.
    """
    stack = [(prefix + b"/" if prefix else b"", iter(reader.tree(tree)))]
    while stack:
        base, entries = stack[-1]
        for entry in entries:
            path = base + entry.name
            yield path, entry
            if entry.kind == DIRECTORY:
                stack.append((path + b"/", iter(reader.tree(entry.tree))))
                break
        else:
            stack.pop()


def find_entry(reader: TreeReader, tree: TreeId, path: bytes) -> Entry | None:
    """The entry at ``path`` (not the root's), or None; reads only the trees on the way."""
    *above, last = path.split(b"/")
    for part in above:
        entry = entry_named(reader.tree(tree), part)
        if entry is None or entry.kind != DIRECTORY:
            return None
        tree = entry.tree
    return entry_named(reader.tree(tree), last)


def listing_at(reader: TreeReader, tree: TreeId, path: bytes) -> Sequence[Entry]:
    """The entries of the directory at ``path``; none where there is no directory."""
    if not path:
        return reader.tree(tree)
    entry = find_entry(reader, tree, path)
    return reader.tree(entry.tree) if entry is not None and entry.kind == DIRECTORY else ()


def entry_named(entries: Sequence[Entry], name: bytes) -> Entry | None:
    """The entry of that name in a sorted listing, or None."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if entries[middle].name < name:
            low = middle + 1
        else:
            high = middle
    return entries[low] if low < len(entries) and entries[low].name == name else None


def tally(reader: TreeReader, old: TreeId, new: TreeId, count: Callable[[bytes], int] | None = None) -> Tally:
    """How much differs, in files and links; costs what differs, with what directories that came or went hold.

    With a ``count`` of the files and links at and below a path in the new tree, for who has one without reading trees,
    what is in directories that only moved costs nothing.
    """
    changes = diff_trees(reader, old, new)
    if count is None:
        return tally_changes(reader, changes)
    listed = list(changes)
    moved = moved_directories(listed)
    apart = {change.path for pair in moved for change in pair}
    found = tally_changes(reader, [change for change in listed if change.path not in apart])
    return found._replace(moved=found.moved + sum([count(came.path) for _, came in moved]))


def moved_directories(changes: Sequence[Change]) -> list[tuple[Change, Change]]:
    """Directories that went, each with one that came with the very same tree: in the order of those that came."""
    went: dict[bytes, list[Change]] = {}
    for change in reversed(changes):
        if change.old is not None and change.new is None and change.old.kind == DIRECTORY:
            went.setdefault(change.old.id, []).append(change)
    return [
        (went[change.new.id].pop(), change)
        for change in changes
        if change.old is None and change.new is not None and change.new.kind == DIRECTORY and went.get(change.new.id)
    ]


def tally_changes(reader: TreeReader, changes: Iterable[Change]) -> Tally:
    """How much :func:`diff_trees` has found to differ."""
    gone: list[bytes] = []
    came: list[bytes] = []
    changed = 0
    for _, before, after in changes:
        if before is not None and after is not None and before.kind != DIRECTORY != after.kind:
            changed += 1
            continue
        if before is not None and (after is None or after.kind != before.kind):
            gone += _contents_of(reader, before)
        if after is not None and (before is None or before.kind != after.kind):
            came += _contents_of(reader, after)
    return _tally_of(gone, came, changed)


def tally_pairs(pairs: Iterable[tuple[Entry | None, Entry | None]]) -> Tally:
    """How much differs, by the files and links themselves: each as it was and as it is, None where it is not there."""
    gone: list[bytes] = []
    came: list[bytes] = []
    changed = 0
    for before, after in pairs:
        if before is not None and after is not None:
            changed += 1
        elif before is not None:
            gone.append(before.id)
        elif after is not None:
            came.append(after.id)
    return _tally_of(gone, came, changed)


def _tally_of(gone: Sequence[bytes], came: Sequence[bytes], changed: int) -> Tally:
    # Counting is felt where all of a folder came; then nothing went.
    moved = (Counter(gone) & Counter(came)).total() if gone and came else 0
    return Tally(len(came) - moved, len(gone) - moved, moved, changed)


def _contents_of(reader: TreeReader, entry: Entry) -> list[bytes]:
    """The ids of a file or link, or of those in a directory that came or went, and below it."""
    if entry.kind != DIRECTORY:
        return [entry.id]
    ids: list[bytes] = []
    stack = [entry.tree]
    while stack:
        listing = reader.tree(stack.pop())
        stack += [below.tree for below in listing if below.kind == DIRECTORY]
        ids += [below.id for below in listing if below.kind != DIRECTORY]
    return ids


def unknown_below(
    read: Callable[[TreeId], Sequence[Entry]], lacking: Callable[[Iterable[TreeId]], Iterable[TreeId]], top: TreeId
) -> Iterator[tuple[TreeId, Sequence[Entry]]]:
    """The trees at and below ``top`` that are not known yet, each after all those that it names, each once.

    ``lacking`` tells which of some trees are not known. What is known is not read, and neither is what lies below it:
    whoever knows a tree knows those.
    """
    met: set[TreeId] = set()
    stack: list[tuple[TreeId, Sequence[Entry] | None]] = [(at, None) for at in lacking([top])]
    while stack:
        at, entries = stack.pop()
        if entries is not None:
            yield at, entries
            continue
        if at in met:
            continue
        met.add(at)
        entries = read(at)
        stack.append((at, entries))
        below = [entry.tree for entry in entries if entry.kind == DIRECTORY and entry.id not in met]
        if below:
            stack += [(each, None) for each in reversed([*lacking(below)])]
