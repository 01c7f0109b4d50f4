"""Status: how folder, log and remotes stand to each other. Takes no lock, and writes nothing."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.decisions.reconcile import OpenConflict, conflicts_in, reconcile
from replican.decisions.standing import Standing, parse_standing
from replican.decisions.treediff import Change, diff_trees, walk_tree
from replican.effects import lock
from replican.effects.asking import ask
from replican.effects.index import Index
from replican.effects.refs import remote_head
from replican.repository import Repository
from replican.values.answers import ASK_MARKED, ASK_STANDING, ASK_STATE, State, parse_state
from replican.values.checkpoints import Checkpoint
from replican.values.errors import DamagedError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.names import COPY_MARK
from replican.values.paths import ancestors_of, is_below
from replican.values.progress import Problem
from replican.values.trees import DIRECTORY, Entry, TreeOverlay, TreeReader

if TYPE_CHECKING:
    from replican.effects.scan import Scan

ADDED: Final = "added"
MODIFIED: Final = "modified"
DELETED: Final = "deleted"
RETYPED: Final = "type changed"
ATTRIBUTES: Final = "attributes changed"

UP_TO_DATE: Final = "up to date"
AHEAD: Final = "ahead"
BEHIND: Final = "behind"
DIVERGED: Final = "diverged"
UNKNOWN: Final = "unknown"

WAITING: Final = "not written yet"


class Changed(NamedTuple):
    """One path that differs: one of the words above, and what lies there now (or lay, for a deletion).

    ``source`` is where the same content went from, for what was moved. ``files`` counts what a directory holds.
    """

    path: bytes
    status: str
    entry: Entry
    source: bytes | None = None
    files: int = 1


class RemoteState(NamedTuple):
    """A remote as last seen: how its head stands to ours, and how many user checkpoints only one of both has."""

    name: str
    url: str
    state: str
    ahead: int
    behind: int


class Status(NamedTuple):
    """How a folder stands.

    ``changes`` is what a commit would record, each file a change of its own; ``summary`` the same in short, where a
    directory that came, went or moved as a whole is one change. ``pending`` is where the disk is behind the head,
    ``unread`` what could not be read and stands as it was recorded, ``skipped`` what is never recorded. ``watch``
    is how the watch stands that runs for the folder; None where none does.
    """

    head: CheckpointId | None
    checkpoint: Checkpoint | None
    changes: list[Changed]
    summary: list[Changed]
    conflicts: list[OpenConflict]
    pending: list[Problem]
    unread: list[Problem]
    skipped: list[Problem]
    remotes: list[RemoteState]
    notes: list[str]
    watch: Standing | None = None

    @property
    def clean(self) -> bool:
        """Whether the log has all that the folder has, and the folder all that the log has."""
        return not (self.changes or self.pending or self.unread)


_MOST_DOUBTFUL: Final = 10_000


def look(repo: Repository) -> Status:
    """How the folder stands: as the tracker says that runs here, else by a scan. A damaged index is left alone: then
    every file is read."""
    state = ask_tracker(repo)
    try:
        return _look(repo, repo.index, [], state)._replace(watch=ask_standing(repo))
    except DamagedError as error:
        if error.code != "index-damaged" and "index is damaged" not in error.message:
            raise
        note = f"{error.message}: the next command that writes rebuilds it"
    with Index.open(":memory:", writable=True) as empty:
        return _look(repo, empty, [note], None, lost=True)


def ask_standing(repo: Repository) -> Standing | None:
    """How the watch stands that runs for this folder; None where there is none, or it does not say."""
    answer = ask(repo.dotdir, ASK_STANDING)
    if answer is None:
        return None
    import json

    try:
        return parse_standing(json.loads(answer))
    except ValueError:
        return None


def ask_tracker(repo: Repository) -> State | None:
    """What the tracker that runs for this folder knows of it; None where there is none. It may not know either.

    Nothing that was changed before this call is left out. The index that the repository opens next has all that the
    tracker has noted.
    """
    answer = ask(repo.dotdir, ASK_STATE)
    state = None if answer is None else parse_state(answer)
    if state is None or repo.is_locked_here:
        return None
    repo.close_index()
    return state


class _Seen(NamedTuple):
    """What the folder holds: as :class:`~replican.effects.scan.Scan` has it."""

    root: TreeId
    payloads: Mapping[TreeId, bytes]
    problems: list[Problem]
    skipped: list[Problem]


def _see(repo: Repository, index: Index, state: State | None) -> "_Seen | Scan":
    """What the folder holds. The index is not taken for what the tracker meant unless it has the same tree. Large files
    are not read where there is a tracker, which does that."""
    if state is None or len(state.doubtful) > _MOST_DOUBTFUL or index.observed_root() != state.root:
        from replican.effects.hashing import PuttingOff
        from replican.effects.scan import scan

        return scan(repo.root, index, progress=repo.progress, putting_off=None if state is None else PuttingOff())
    if not state.doubtful:
        return _Seen(state.root, {}, sorted(index.problems()), [])  # and what looks at folders is not even loaded
    from replican.effects.hashing import PuttingOff
    from replican.effects.observe import observe_paths

    seen = observe_paths(repo.root, index, state.doubtful, progress=repo.progress, putting_off=PuttingOff())
    left = [each for each in index.problems() if not any(is_below(each.path, path) for path in state.doubtful)]
    return seen._replace(problems=sorted({*left, *seen.problems}))


def _look(repo: Repository, index: Index, notes: list[str], state: State | None, *, lost: bool = False) -> Status:
    head = repo.head
    head_tree = repo.tree_of(head)
    base = index.base_root()
    pending = [] if lost else _pending(repo, index, base, head_tree)
    journal = [] if lost else index.journal()
    if any(not entry.cause for entry in journal):
        at_work = lock.holder(repo.dotdir)
        if at_work is None:
            notes.append("an earlier command was interrupted: the next one that writes finishes its work")
        else:
            notes.append(f"{lock.show(at_work)} is changing the folder at this moment")
    if any(entry.cause for entry in journal):
        from replican.effects.recovery import told_of_undecided

        notes += told_of_undecided([entry for entry in journal if entry.cause])
    seen = _see(repo, index, state)
    overlay = TreeOverlay(repo)
    overlay.new.update(seen.payloads)
    tree = seen.root if lost or base == head_tree else reconcile(overlay, base, head_tree, seen.root).tree
    found = list(diff_trees(overlay, head_tree, tree))
    return Status(
        head,
        None if head is None else repo.checkpoint(head),
        list(expand(overlay, found)),
        summarize(overlay, found),
        list(conflicts_in(overlay, tree, None if lost else _without_copies(index, _marked(repo, index, state)))),
        pending,
        seen.problems,
        seen.skipped,
        remotes_of(repo, head),
        notes,
    )


def _marked(repo: Repository, index: Index, state: State | None) -> Collection[bytes]:
    """The directories, as the index last saw them, in which some name could be a conflict copy's."""
    if state is not None:
        answer = ask(repo.dotdir, ASK_MARKED)
        told = None if answer is None else parse_state(answer)
        if told is not None and told.root == index.observed_root():
            return told.doubtful
    return index.directories_with(COPY_MARK)


def _without_copies(index: Index, marked: Collection[bytes]) -> Callable[[bytes, TreeId], bool]:
    """Whether a directory is, with all below it, as the index has it, and no name there could be a conflict copy's."""
    above = {above for path in marked for above in (path, *ancestors_of(path))}

    def has_none(path: bytes, tree: TreeId) -> bool:
        known = None if path in above else index.known(path)
        return known is not None and known.tree == tree

    return has_none


def _pending(repo: Repository, index: Index, base: TreeId, head_tree: TreeId) -> list[Problem]:
    """Where the disk, as far as the index knows, is behind the head, with the causes that the last attempt noted."""
    if base == head_tree:
        return []
    overlay = TreeOverlay(repo)
    known = {problem.path: problem for problem in index.pending()}
    held = {path for path, problem in known.items() if problem.held}
    for each in expand(overlay, list(diff_trees(overlay, base, head_tree))):
        if held.isdisjoint(ancestors_of(each.path)):  # else what is above it says why
            known.setdefault(each.path, Problem(each.path, WAITING))
    return sorted(known.values())


# -- changes -----------------------------------------------------------------------------------------------------


def expand(reader: TreeReader, changes: list[Change]) -> Iterator[Changed]:
    """One change for every file and link, and for a directory only if it is empty or its permissions changed."""
    sources = moved(reader, changes)
    for path, old, new in _shown(changes):
        if old is not None and new is not None and (old.kind == new.kind or DIRECTORY not in (old.kind, new.kind)):
            yield Changed(path, _status(old, new), new)
            continue
        source = sources.get(path)
        for entry, status in ((old, DELETED), (new, ADDED)):
            if entry is None:
                continue
            if entry.kind != DIRECTORY or entry.id == EMPTY_TREE:
                yield Changed(path, status, entry, source if status == ADDED else None)
                continue
            for below, inner in walk_tree(reader, entry.tree, path):
                if inner.kind != DIRECTORY or inner.id == EMPTY_TREE:
                    came = None if source is None or status == DELETED else source + below[len(path) :]
                    yield Changed(below, status, inner, came)


def _shown(changes: list[Change]) -> Iterator[Change]:
    """All but what only says that a unit is another one: what differs in it follows."""
    for change in changes:
        _, old, new = change
        if old is None or new is None or not old.kind == DIRECTORY == new.kind or old.perm != new.perm:
            yield change


def summarize(reader: TreeReader, changes: list[Change]) -> list[Changed]:
    """One change for every path at which trees differ; what was only moved is one, too."""
    sources = moved(reader, changes)
    gone = set(sources.values())
    found: list[Changed] = []
    for path, old, new in _shown(changes):
        if new is None:
            if old is not None and path not in gone:
                found.append(Changed(path, DELETED, old, None, _count(reader, old)))
        elif old is None:
            found.append(Changed(path, ADDED, new, sources.get(path), _count(reader, new)))
        else:
            found.append(Changed(path, _status(old, new), new))
    return found


def moved(reader: TreeReader, changes: list[Change]) -> dict[bytes, bytes]:
    """The new paths whose very content went from another, with that other; nothing is guessed, and nothing empty
    counts."""
    gone: dict[tuple[bytes, bytes], list[bytes]] = {}
    for path, old, new in reversed(changes):
        if new is None and old is not None and (old.id != EMPTY_TREE if old.kind == DIRECTORY else old.size):
            gone.setdefault((old.kind, old.id), []).append(path)
    found: dict[bytes, bytes] = {}
    for path, old, new in changes:
        if old is None and new is not None:
            paths = gone.get((new.kind, new.id))
            if paths:
                found[path] = paths.pop()
    return found


def _status(old: Entry, new: Entry) -> str:
    if old.kind != new.kind:
        return RETYPED
    return ATTRIBUTES if old.kind == DIRECTORY or old.id == new.id else MODIFIED


def _count(reader: TreeReader, entry: Entry) -> int:
    if entry.kind != DIRECTORY:
        return 1
    return sum(below.kind != DIRECTORY for _, below in walk_tree(reader, entry.tree))


# -- remotes -----------------------------------------------------------------------------------------------------


def remotes_of(repo: Repository, head: CheckpointId | None) -> list[RemoteState]:
    """Every remote as it was when last fetched from or pushed to."""
    return [
        RemoteState(name, settings.url, *_compare(repo, head, repo.refs.read(remote_head(name))))
        for name, settings in repo.config.remotes.items()
    ]


def _compare(repo: Repository, ours: CheckpointId | None, theirs: CheckpointId | None) -> tuple[str, int, int]:
    if theirs is None:
        return UNKNOWN, 0, 0
    if ours == theirs:
        return UP_TO_DATE, 0, 0
    ahead = 0 if ours is None else _users(repo, ours, theirs)
    behind = _users(repo, theirs, ours)
    if ahead and behind:
        return DIVERGED, ahead, behind
    if not ahead and not behind:  # the same user checkpoints, and one side has not merged them
        return (AHEAD if repo.checkpoint(theirs).author is not None else BEHIND), 0, 0
    return (AHEAD if ahead else BEHIND), ahead, behind


def _users(repo: Repository, head: CheckpointId, other: CheckpointId | None) -> int:
    """How many user checkpoints ``head`` comes from, and ``other`` does not."""
    found = repo.graph.reachable([head], [] if other is None else [other])
    return sum(not repo.graph.checkpoint(each).is_merge for each in found)
