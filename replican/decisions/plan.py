"""The plan of a transition: what has to happen to a folder so that it holds another tree. Pure.

A plan is computed from two trees, what the folder holds (the base) and what it should hold (the head). It
knows nothing of the disk; a transition carries it out, name by name, and looks again before each step.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from replican.decisions.treediff import Change, diff_trees, moved_directories, walk_tree
from replican.values.ids import EMPTY_TREE, TreeId
from replican.values.names import group_key
from replican.values.paths import ancestors_of, is_below, join, name_of, parent_of
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, Entry, TreeReader

UNDECIDED: Final = "not read yet since an interruption"


class Move(NamedTuple):
    """Content that only changes its place: one rename, whether of a file or of a whole directory.

    ``entry`` is what the new path holds; ``was`` what the old one held.
    """

    old: bytes
    new: bytes
    was: Entry
    entry: Entry


class Group(NamedTuple):
    """The changes of one name with all its versions: done whole, or not at all."""

    directory: bytes
    key: bytes
    changes: tuple[Change, ...]

    def in_order(self) -> list[Change]:
        """Conflict copies first, then what goes, then what comes."""

        def rank(change: Change) -> tuple[int, bytes]:
            if change.new is None:
                return 1, change.path
            return (0 if change.old is None and name_of(change.path) != self.key else 2), change.path

        return sorted(self.changes, key=rank)


class NewDirectory(NamedTuple):
    """A directory that comes with all that is below it, but for the paths in ``apart``, which are moved there."""

    path: bytes
    entry: Entry
    replaces: Entry | None
    apart: frozenset[bytes]


class Plan(NamedTuple):
    """What to do, each part sorted by path, but for ``perms``: each is there to be reached when its turn comes.

    ``new`` directories come first where nothing is in their way, then ``moves``, then the ``units`` that go or are
    replaced as a whole, with those that come beside them; then the ``groups`` of files and links (those below
    directories that go included), then the ``gone`` directories, deepest first, then the permissions of directories in
    ``perms``. Before all of it, names are ``recased``: they differ from what lies there only in what the file system
    does not tell apart. ``held`` is what it cannot hold, and nothing is done for; ``fitted`` is the tree without that.
    """

    base: TreeId
    head: TreeId
    new: tuple[NewDirectory, ...]
    moves: tuple[Move, ...]
    groups: tuple[Group, ...]
    gone: tuple[tuple[bytes, Entry], ...]
    perms: tuple[Change, ...]
    units: tuple[Group, ...] = ()
    recased: tuple[Move, ...] = ()
    held: tuple[Problem, ...] = ()
    fitted: TreeId | None = None

    @property
    def arriving(self) -> list[NewDirectory]:
        """All directories that are to be built: those that are moved are none."""
        new = [each for each in self.new if each.path not in each.apart]
        changes = [change for group in self.units for change in group.changes]
        return new + [NewDirectory(path, unit, old, frozenset()) for path, old, unit in changes if unit is not None]

    @property
    def is_empty(self) -> bool:
        return not (self.recased or self.new or self.moves or self.units or self.groups or self.gone or self.perms)


def make_plan(trees: TreeReader, base: TreeId, head: TreeId, changes: Iterable[Change] | None = None) -> Plan:
    """The plan that brings a folder from ``base`` to ``head``; ``changes`` are those of :func:`diff_trees`, where they
    are known."""
    kinds = _by_kind(diff_trees(trees, base, head) if changes is None else changes)
    whole = _moved_whole(kinds.goes, kinds.comes)
    gone, files_gone, units_gone = _all_that_goes(trees, kinds.goes, {old for old, _ in whole.values()})
    files = kinds.files + files_gone
    comes, groups = _with_their_units(kinds.comes, kinds.units + units_gone)
    alone = [group.changes[0] for group in groups if len(group.changes) == 1]
    going = [(change.path, change.old) for change in alone if change.old is not None and change.new is None]
    matcher = _Matcher([*gone, *going], files, whole)
    arriving = [matcher.new_directory(trees, change) for change in comes]
    files = matcher.match_files(files)
    moved = matcher.moved_directories
    if moved:
        files = [change for change in files if change.new is not None or not _is_in(change.path, moved)]
        gone = [(path, entry) for path, entry in gone if not _is_in(path, moved)]
        groups = [group for group in groups if not _is_in(group.changes[0].path, moved)]
    gone.sort(reverse=True)
    return Plan(
        base,
        head,
        tuple(sorted(arriving)),
        tuple(matcher.moves),
        tuple(_groups(files)),
        tuple(gone),
        tuple(sorted(kinds.perms, key=lambda change: in_reach(change.path, change.new))),
        tuple(groups),
    )


class _Kinds(NamedTuple):
    """The changes from one tree to another, by what is to be done. Where a directory takes a file's place, or a file a
    directory's, there are two: one in ``files``, and one in ``comes`` or ``goes``."""

    comes: list[Change]
    goes: list[Change]
    perms: list[Change]
    units: list[Change]
    files: list[Change]


def _by_kind(changes: Iterable[Change]) -> _Kinds:
    kinds = _Kinds([], [], [], [], [])
    inside: bytes | None = None
    for change in changes:
        old, new = change.old, change.new
        if inside is not None and is_below(change.path, inside):
            continue  # it comes with the unit
        was_directory = old is not None and old.kind == DIRECTORY
        is_directory = new is not None and new.kind == DIRECTORY
        if old is not None and new is not None and was_directory and is_directory:
            if new.is_unit and old.id != new.id:
                inside = change.path
                kinds.units.append(change)
            else:
                kinds.perms.append(change)
            continue
        if old is not None and old.is_unit:
            kinds.units.append(Change(change.path, old, None))
        elif was_directory:
            kinds.goes.append(Change(change.path, old, None))
        if is_directory:
            kinds.comes.append(change)
        if (old is not None and not was_directory) or (new is not None and not is_directory):
            kinds.files.append(Change(change.path, None if was_directory else old, None if is_directory else new))
    return kinds


def _all_that_goes(
    trees: TreeReader, goes: Iterable[Change], whole: Collection[bytes]
) -> tuple[list[tuple[bytes, Entry]], list[Change], list[Change]]:
    """The directories that go and those below them, and what these hold: files and links, and units. What is below a
    directory that is moved ``whole`` is none of it."""
    gone: list[tuple[bytes, Entry]] = []
    files: list[Change] = []
    units: list[Change] = []
    for change in goes:
        assert change.old is not None
        gone.append((change.path, change.old))
        if change.path in whole:
            continue
        inside: bytes | None = None
        for path, entry in walk_tree(trees, change.old.tree, change.path):
            if inside is not None and is_below(path, inside):
                continue
            if entry.is_unit:
                inside = path
                units.append(Change(path, entry, None))
            elif entry.kind == DIRECTORY:
                gone.append((path, entry))
            else:
                files.append(Change(path, entry, None))
    return gone, files, units


def in_reach(path: bytes, new: Entry | None) -> tuple[bool, int, bytes]:
    """By this, directories are sorted so that their owner can reach each until it has its new permissions: first those
    that can be passed then, from above, so that what was shut is open; then those that cannot, from below."""
    shut, depth = new is not None and not new.perm & 0o100, path.count(b"/")
    return shut, -depth if shut else depth, path


def leave(plan: Plan, undecided: Collection[bytes]) -> tuple[Plan, list[Problem]]:
    """A plan without what touches paths of which nobody knows what they hold, and what that leaves pending.

    A name is left alone with all its versions, a directory with all that is below it; one above them stays where it is.
    """
    if not undecided:
        return plan, []
    left: dict[Problem, None] = {}
    alone = set(undecided)
    names = {_name_at(path) for path in undecided}
    above = {each for path in undecided for each in ancestors_of(path)}

    def is_free(*paths: bytes, stays: bytes | None = None) -> bool:
        free = stays not in above and not any(_is_in(path, alone) or _name_at(path) in names for path in paths)
        if not free:
            left.update(dict.fromkeys(Problem(path, UNDECIDED) for path in paths))
        return free

    return plan._replace(
        recased=tuple(move for move in plan.recased if is_free(move.old, move.new, stays=move.old)),
        new=tuple(new for new in plan.new if is_free(new.path)),
        moves=tuple(move for move in plan.moves if is_free(move.old, move.new, stays=move.old)),
        units=tuple(
            group
            for group in plan.units
            if is_free(
                *[change.path for change in group.changes],
                stays=next((change.path for change in group.changes if change.path in above), None),
            )
        ),
        groups=tuple(group for group in plan.groups if is_free(*[change.path for change in group.changes])),
        gone=tuple((path, entry) for path, entry in plan.gone if is_free(path, stays=path)),
        perms=tuple(change for change in plan.perms if is_free(change.path)),
    ), list(left)


def _with_their_units(comes: Sequence[Change], units: Sequence[Change]) -> tuple[list[Change], list[Group]]:
    """The directories that come by themselves, and the units that go or are replaced, with those that come beside them
    under a name of the same group."""
    if not units:
        return list(comes), []
    groups = {(group.directory, group.key) for group in _groups(units)}
    beside = [
        change
        for change in comes
        if change.old is None and change.new is not None and change.new.is_unit and _name_at(change.path) in groups
    ]
    return [change for change in comes if change not in beside], list(_groups([*units, *beside]))


def _moved_whole(goes: Sequence[Change], comes: Sequence[Change]) -> dict[bytes, tuple[bytes, Entry]]:
    """Those that come with the very tree of a directory that goes, and which: nothing has to be known of what is below
    them, however much that is."""
    going = [change for change in goes if change.old is not None and change.old.id != EMPTY_TREE]
    coming = [change for change in comes if change.new is not None and not change.new.is_unit]
    pairs = moved_directories([*going, *coming])
    return {came.path: (went.path, went.old) for went, came in pairs if went.old is not None}


def _name_at(path: bytes) -> tuple[bytes, bytes]:
    """The name that a path is a version of: the directory that it is in, and what its versions have in common there."""
    return parent_of(path), group_key(name_of(path))


def _is_in(path: bytes, directories: set[bytes]) -> bool:
    while path:
        if path in directories:
            return True
        path = path.rpartition(b"/")[0]
    return False


def _groups(files: Iterable[Change]) -> Iterator[Group]:
    by_key: dict[tuple[bytes, bytes], list[Change]] = {}
    for change in files:
        by_key.setdefault(_name_at(change.path), []).append(change)
    for (directory, key), changes in sorted(by_key.items()):
        yield Group(directory, key, tuple(sorted(changes)))


class _Matcher:
    """Finds what goes at one path and comes at another, so that it can be moved there.

    Equal ids only: nothing is guessed. A name with several changes at once is left to its group, which is
    done whole or not at all; so is a directory that takes the place of a file. What takes the place of a directory has
    to wait until that is gone, and is no move either.
    """

    def __init__(
        self, gone: list[tuple[bytes, Entry]], files: list[Change], whole: dict[bytes, tuple[bytes, Entry]]
    ) -> None:
        self.moves: list[Move] = []
        self.moved_directories = {old for old, _ in whole.values()}
        self._whole = whole
        self._going = {path for path, _ in gone}
        self._directories: dict[bytes, list[tuple[bytes, Entry]]] = {}
        for path, entry in gone:
            if entry.id != EMPTY_TREE and path not in self.moved_directories:
                self._directories.setdefault(entry.id, []).append((path, entry))
        crowded: dict[tuple[bytes, bytes], int] = {}
        for change in files:
            key = _name_at(change.path)
            crowded[key] = crowded.get(key, 0) + 1
        self._alone = {key for key, count in crowded.items() if count == 1}
        self._files: dict[tuple[bytes, bytes], list[tuple[bytes, Entry]]] = {}
        for change in files:
            old = change.old
            if old is not None and change.new is None and old.size and self._is_alone(change.path):
                self._files.setdefault((old.kind, old.id), []).append((change.path, old))
        self._moved_files: set[bytes] = set()
        self._above_moved = {above for old in self.moved_directories for above in ancestors_of(old)}

    def _is_alone(self, path: bytes) -> bool:
        return _name_at(path) in self._alone

    def new_directory(self, trees: TreeReader, change: Change) -> NewDirectory:
        assert change.new is not None
        apart: set[bytes] = set()
        if (found := self._whole.get(change.path)) is not None:
            old, was = found
            self.moves.append(Move(old, change.path, was, change.new))
            apart = {change.path}
        elif change.old is None and (self._directories or self._files):
            apart = self._take_apart(trees, change.path, change.new)
        return NewDirectory(change.path, change.new, change.old, frozenset(apart))

    def _take_apart(self, trees: TreeReader, top: bytes, top_entry: Entry) -> set[bytes]:
        apart: set[bytes] = set()
        if self._move_directory(top, top_entry):
            return {top}
        if top_entry.is_unit:
            return apart  # whole, or not at all
        stack = [(top, top_entry)]
        while stack:
            directory, above = stack.pop()
            entries = trees.tree(above.tree)
            keys: dict[bytes, int] = {}
            for entry in entries:
                key = group_key(entry.name)
                keys[key] = keys.get(key, 0) + 1
            for entry in entries:
                path = join(directory, entry.name)
                if entry.kind == DIRECTORY:
                    if self._move_directory(path, entry):
                        apart.add(path)
                    elif not entry.is_unit:
                        stack.append((path, entry))
                elif keys[group_key(entry.name)] == 1 and self._move_file(path, entry):
                    apart.add(path)
        return apart

    def _move_directory(self, path: bytes, entry: Entry) -> bool:
        for place, (old, was) in enumerate(self._directories.get(entry.id, ())):
            if self._overlaps(old):
                continue
            del self._directories[entry.id][place]
            self.moved_directories.add(old)
            self._above_moved.update(ancestors_of(old))
            self.moves.append(Move(old, path, was, entry))
            return True
        return False

    def _overlaps(self, old: bytes) -> bool:
        """Whether a part of ``old``, or what it lies in, has been moved already."""
        return old in self._above_moved or _is_in(old, self.moved_directories)

    def match_files(self, files: list[Change]) -> list[Change]:
        """The changes that are left when the moves have been taken out."""
        if self._files:
            for change in files:
                free = change.old is None and change.path not in self._going
                if free and change.new is not None and self._is_alone(change.path):
                    self._move_file(change.path, change.new)
        if not self._moved_files:
            return files
        arrived = {move.new for move in self.moves}
        return [
            change
            for change in files
            if not (change.new is None and change.path in self._moved_files)
            and not (change.old is None and change.path in arrived)
        ]

    def _move_file(self, path: bytes, entry: Entry) -> bool:
        found = self._files.get((entry.kind, entry.id))
        while found:
            old, was = found.pop()
            if not _is_in(old, self.moved_directories):
                self._moved_files.add(old)
                self._above_moved.update(ancestors_of(old))
                self.moves.append(Move(old, path, was, entry))
                return True
        return False
