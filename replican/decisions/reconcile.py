"""The merge of two trees against a base: pure, symmetric, and without loss.

A name holds a *set of versions* (kind and content), and maybe a directory. The conflict copies beside a file
are a view of that set: a listing is grouped by the name that each copy derives from, and what a merge merges
are the sets: ``(left & right) | (left - base) | (right - base)``. The greatest version, by mtime, then content,
then kind, takes the name, and every other becomes a conflict copy; a directory of that name takes it before any.
A group that one side left alone is taken from the other as it lies.

A *unit* (a directory that is to be taken as one) is a version of its name, as a file is: compared by its tree's id, and
never descended into. So is a plain directory that is a unit on the other side, and what comes of it is a unit: whoever
says that a directory is one, as long as anybody says so, has their way. A unit takes a name before a file does, and of
units that whose newest file is newest.

Swapping left and right gives the same tree id. Nothing recurses: trees may be thousands deep.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from replican.decisions.limits import Budget
from replican.decisions.units import newest_in
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.names import copy_name, is_copy_name, keys_apart
from replican.values.paths import join
from replican.values.trees import ATOMIC, DIRECTORY, Entry, TreeOverlay, TreeReader, parse_tree

_Group = dict[bytes, Entry]
"""The entries of a listing that belong together, by name."""
_Version = tuple[bytes, bytes]
"""Kind and content: of a unit, its tree."""


class Merge(NamedTuple):
    """A merged tree, and the paths that both sides had changed and that hold more than one version in it, sorted.

    What the merge changes for a side is ``diff_trees(side, tree)``.
    """

    tree: TreeId
    conflicts: tuple[bytes, ...]


class OpenConflict(NamedTuple):
    """A name with more than one version: what lies at ``path`` (a file, link or directory), and every copy beside it.
    A copy that is a directory is a unit.

    Where nothing has the name itself, the greatest of the copies is the current entry.
    """

    path: bytes
    current: Entry
    copies: tuple[tuple[bytes, Entry], ...]


class _Directory:
    """A directory on the way through :func:`reconcile`: what is settled of it, and what waits for its directories."""

    __slots__ = ("awaited", "groups", "left", "merged", "name", "path", "right", "settled")

    def __init__(self, path: bytes, name: bytes, left: TreeId, right: TreeId) -> None:
        self.path, self.name, self.left, self.right = path, name, left, right
        self.settled: list[Entry] = []
        self.groups: list[tuple[bytes, _Group, _Group, _Group]] = []
        self.awaited: list[tuple[bytes, TreeId, TreeId, TreeId]] = []
        self.merged: dict[bytes, TreeId] = {}


def reconcile(trees: TreeOverlay, base: TreeId, left: TreeId, right: TreeId, budget: Budget | None = None) -> Merge:
    """Merge ``left`` and ``right``, which both come from ``base`` (the empty tree where nothing does).

    The trees that the merge makes are added to ``trees``. Raises ``LimitError`` when ``budget`` runs out.
    """
    settled = _settled(base, left, right)
    if settled is not None:
        return Merge(settled, ())
    conflicts: list[bytes] = []
    root = _Directory(b"", b"", left, right)
    _split(trees, root, base, budget)
    stack = [root]
    while True:
        directory = stack[-1]
        if directory.awaited:
            name, old, one, other = directory.awaited.pop()
            settled = _settled(old, one, other)
            if settled is not None:
                directory.merged[name] = settled
            else:
                below = _Directory(join(directory.path, name), name, one, other)
                _split(trees, below, old, budget)
                stack.append(below)
            continue
        tree = _close(trees, directory, conflicts, budget)
        stack.pop()
        if not stack:
            conflicts.sort()
            return Merge(tree, tuple(conflicts))
        stack[-1].merged[directory.name] = tree


def _settled(base: TreeId, left: TreeId, right: TreeId) -> TreeId | None:
    if left == right or right == base:
        return left
    return right if left == base else None


def _split(trees: TreeReader, directory: _Directory, base: TreeId, budget: Budget | None) -> None:
    """Settle the names that one side left alone; note the groups that both changed, and their directories."""
    old = {entry.name: entry for entry in trees.tree(base)}
    one = {entry.name: entry for entry in trees.tree(directory.left)}
    other = {entry.name: entry for entry in trees.tree(directory.right)}
    if budget is not None:
        budget.spend(entries=len(old) + len(one) + len(other) + 1)
    names = old.keys() | one.keys() | other.keys()
    keys = keys_apart(names)
    shared = set(keys.values())
    settled = directory.settled
    for name in names:
        before, mine, theirs = old.get(name), one.get(name), other.get(name)
        if name in keys or name in shared:
            continue
        if mine == theirs or theirs == before:
            if mine is not None:
                settled.append(mine)
        elif mine == before:
            if theirs is not None:
                settled.append(theirs)
        else:
            directory.groups.append((name, _single(before), _single(mine), _single(theirs)))
    if shared:
        gathered: dict[bytes, tuple[_Group, _Group, _Group]] = {key: ({}, {}, {}) for key in shared}
        for at, listing in enumerate((old, one, other)):
            for name, entry in listing.items():
                key = keys.get(name, name)
                if key in shared:
                    gathered[key][at][name] = entry
        for key, (was, ours, yours) in gathered.items():
            if ours == yours or yours == was:
                settled.extend(ours.values())
            elif ours == was:
                settled.extend(yours.values())
            else:
                directory.groups.append((key, was, ours, yours))
    for _, was, ours, yours in directory.groups:
        for name in (ours.keys() | yours.keys()) - _units_of(ours, yours):
            old_id, one_id, other_id = _tree_in(was, name), _tree_in(ours, name), _tree_in(yours, name)
            if one_id is not None or other_id is not None:
                awaited = (name, old_id or EMPTY_TREE, one_id or EMPTY_TREE, other_id or EMPTY_TREE)
                directory.awaited.append(awaited)


def _single(entry: Entry | None) -> _Group:
    return {} if entry is None else {entry.name: entry}


def _units_of(ours: _Group, yours: _Group) -> set[bytes]:
    """The names that are a unit on one side."""
    return {entry.name for group in (ours, yours) for entry in group.values() if entry.is_unit}


def _is_plain(entry: Entry) -> bool:
    """Whether it is a directory that is no unit."""
    return entry.kind == DIRECTORY and not entry.is_unit


def _tree_in(group: _Group, name: bytes) -> TreeId | None:
    entry = group.get(name)
    return entry.tree if entry is not None and entry.kind == DIRECTORY else None


def _close(trees: TreeOverlay, directory: _Directory, conflicts: list[bytes], budget: Budget | None = None) -> TreeId:
    """The tree of a directory all of whose directories are merged."""
    entries = directory.settled
    for key, was, ours, yours in directory.groups:
        name = _name_of_group(key, ours.keys() | yours.keys())
        made = _merge_group(key, name, was, ours, yours, directory.merged, lambda tree: newest_in(trees, tree, budget))
        entries.extend(made.values())
        if any(not _is_plain(entry) and entry.name != name for entry in made.values()):
            conflicts.append(join(directory.path, name))
    entries.sort()
    tree = trees.add(entries)
    parse_tree(trees.new[tree])  # a merged tree is held to what a received one is
    return tree


def _merge_group(
    key: bytes,
    name: bytes,
    was: _Group,
    ours: _Group,
    yours: _Group,
    merged: dict[bytes, TreeId],
    newest: Callable[[TreeId], int] = lambda tree: 0,
) -> _Group:
    """Merge one group that both sides changed; ``merged`` has the trees of its directories, ``newest`` tells the time
    of a unit's newest file."""
    made: _Group = {}
    units = _units_of(ours, yours)
    for each in (ours.keys() | yours.keys()) - units:
        directory = _merge_directory(each, was.get(each), ours.get(each), yours.get(each), merged)
        if directory is not None:
            made[each] = directory
    # What was a plain directory may be one side's unit now, as it is or changed.
    before = _versions(was, was.keys() if units else ())
    mine, theirs = _versions(ours, units), _versions(yours, units)
    kept: list[Entry] = []
    for version in mine.keys() | theirs.keys():
        one, other, old = mine.get(version), theirs.get(version), before.get(version)
        if one is not None and other is not None:
            kept.append(_merge_attributes(old, one, other))
        elif old is None:
            kept += [entry for entry in (one, other) if entry is not None]
    times = [
        newest(entry.tree) if units and entry.is_unit and len(kept) + len(made) > 1 else entry.mtime_ns
        for entry in kept
    ]
    ranked = sorted(zip(kept, times, strict=True), key=lambda each: _order(*each), reverse=True)
    for at, (entry, time_ns) in enumerate(ranked):
        taken = copy_name(key, time_ns, entry.blob, made) if at or name in made else name
        made[taken] = entry._replace(name=taken)
    return made


def _name_of_group(key: bytes, names: Iterable[bytes]) -> bytes:
    """The name that the greatest version takes: the key, but for a name too long to be one the name itself."""
    return min((name for name in names if name != key and not is_copy_name(name)), default=key)


def _order(entry: Entry, time_ns: int) -> tuple[bool, int, bytes, bytes]:
    """The total order of versions; ``time_ns`` is its mtime, or a unit's newest."""
    return entry.is_unit, time_ns, entry.id, entry.kind


def _versions(group: _Group, units: Collection[bytes] = ()) -> dict[_Version, Entry]:
    """The set of versions that a group holds. One that is there several times counts once. The directories of the
    names in ``units`` are some, too, whether they are units in this group or not."""
    found: dict[_Version, Entry] = {}
    for entry in group.values():
        if entry.kind == DIRECTORY and entry.name in units:
            entry = entry._replace(perm=entry.perm | ATOMIC)
        if entry.kind != DIRECTORY or entry.is_unit:
            version = (entry.kind, entry.id)
            same = found.get(version)
            found[version] = entry if same is None else _merge_attributes(None, same, entry)
    return found


def _merge_attributes(base: Entry | None, left: Entry, right: Entry) -> Entry:
    """One version with the attributes that a merge gives it; where base is None, both sides count as changed."""
    if left[2:5] == right[2:5]:
        return left
    perm = _pick(base and base.perm, left.perm, right.perm)
    if perm is None:
        perm = left.perm & right.perm
    mtime = _pick(base and base.mtime_ns, left.mtime_ns, right.mtime_ns)
    if mtime is None:
        mtime = max(left.mtime_ns, right.mtime_ns)
    return Entry(left.name, left.kind, perm, max(left.size, right.size), mtime, left.id)


def _pick(base: int | None, left: int, right: int) -> int | None:
    """The value that an attribute has when at most one side changed it; None where both did."""
    if left == right or right == base:
        return left
    return right if left == base else None


def _merge_directory(
    name: bytes, base: Entry | None, left: Entry | None, right: Entry | None, merged: dict[bytes, TreeId]
) -> Entry | None:
    """The directory ``name`` of a group, None where it goes. ``merged`` has what it holds.

    One that only one side has left stays for what it holds that the other side did not know, and for nothing else:
    permissions, and the empty directory itself, do not outlive its deletion.
    """
    base, left, right = _if_directory(base), _if_directory(left), _if_directory(right)
    if left is not None and right is not None:
        perm = _pick(base and base.perm, left.perm, right.perm)
        return Entry(name, DIRECTORY, left.perm & right.perm if perm is None else perm, 0, 0, merged[name])
    one = left or right
    if one is None or (base is not None and merged[name] == EMPTY_TREE):
        return None
    return one._replace(id=merged[name])


def _if_directory(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.kind == DIRECTORY else None


def conflicts_in(
    reader: TreeReader, tree: TreeId, has_none: Callable[[bytes, TreeId], bool] | None = None
) -> Iterator[OpenConflict]:
    """Every name below ``tree``, but not within a unit, that holds more than one version, in the order of a walk. Reads
    the whole tree, but for what ``has_none`` knows to have no conflict copy in it: the path of a directory, and its
    tree."""
    stack = [(b"", tree)]
    while stack:
        path, at = stack.pop()
        if has_none is not None and has_none(path, at):
            continue
        listing = reader.tree(at)
        yield from conflicts_of(path, listing)
        stack += [(join(path, entry.name), entry.tree) for entry in reversed(listing) if _is_plain(entry)]


def conflicts_of(path: bytes, listing: Sequence[Entry]) -> Iterator[OpenConflict]:
    """The open conflicts among the entries of one directory, which is at ``path``."""
    keys = keys_apart([entry.name for entry in listing])
    if not keys:
        return
    groups: dict[bytes, list[Entry]] = {key: [] for key in sorted(set(keys.values()))}
    for entry in listing:
        key = keys.get(entry.name, entry.name)
        if key in groups:
            groups[key].append(entry)
    for key, group in groups.items():
        files = [entry for entry in group if not _is_plain(entry)]
        name = _name_of_group(key, {entry.name for entry in group})
        current = next((entry for entry in group if entry.name == name), None)
        versions = {(entry.kind, entry.id) for entry in files}
        if len(versions) > 1 or (versions and current is not None and _is_plain(current)):
            if current is None:
                current = max(files, key=lambda entry: _order(entry, entry.mtime_ns))
            copies = tuple((join(path, entry.name), entry) for entry in files if entry is not current)
            yield OpenConflict(join(path, current.name), current, copies)
