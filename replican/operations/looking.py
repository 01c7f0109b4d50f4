"""Status: how folder, log and remotes stand to each other. Takes no lock, and writes nothing."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.decisions.changes import expand, summarize
from replican.decisions.reconcile import conflicts_in, reconcile
from replican.decisions.treediff import diff_trees
from replican.effects import lock
from replican.effects.index import Index
from replican.effects.refs import remote_head
from replican.operations.status import (
    AHEAD,
    BEHIND,
    DIVERGED,
    UNKNOWN,
    UP_TO_DATE,
    RemoteState,
    Status,
    Told,
    ask_watch,
    status_at_rest,
)
from replican.repository import INDEX_MISSING, Repository
from replican.values.answers import State
from replican.values.errors import DamagedError
from replican.values.ids import CheckpointId, TreeId
from replican.values.names import COPY_MARK
from replican.values.paths import ancestors_of, is_below
from replican.values.progress import Problem
from replican.values.trees import TreeOverlay

if TYPE_CHECKING:
    from replican.effects.scan import Scan

WAITING: Final = "not written yet"

_MOST_DOUBTFUL: Final = 10_000


def look(repo: Repository) -> Status:
    """How the folder stands: as the watch says that runs here, else by a scan. An index that is damaged, or missing, is
    left alone: then every file is read."""
    return look_as_told(repo, ask_watch(repo.root))


def look_as_told(repo: Repository, told: Told | None) -> Status:
    """As :func:`look`, where the watch has been asked already.

    The index that is read is opened after that: it has all that the watch has noted.
    """
    standing = None if told is None else told.standing
    if told is not None and told.rest is not None and not repo.is_locked_here:
        return told.rest
    told = heard(repo, told)
    try:
        if repo.head is None or repo.has_index:
            return _look(repo, repo.index, [], told)._replace(watch=standing)
        note = INDEX_MISSING
    except DamagedError as error:
        if error.code != "index-damaged" and "index is damaged" not in error.message:
            raise
        note = f"{error.message}: the next command that writes rebuilds it"
    with Index.open(":memory:", writable=True) as empty:
        return _look(repo, empty, [note], None, lost=True)


def heard(repo: Repository, told: Told | None) -> Told | None:
    """What a watch has told, made ready for :func:`see`; None where it is of no use. The index that is read from now on
    has all that the watch has noted."""
    if told is None or repo.is_locked_here:
        return None
    if told.state is not None:
        repo.close_index()
    return told


def look_at_rest(repo: Repository, state: State, marked: State) -> Status | None:
    """How the folder stands, if it holds what the log has, and all remotes that are known too: then there is nothing
    to do in it, and that is known in no time. None in all other cases, and where the two states are of another root.
    """
    index, root = repo.index, state.root
    if root is None or state.doubtful or marked.root != root or marked.doubtful:
        return None
    head = repo.head
    if not root == index.observed_root() == index.base_root() == repo.tree_of(head):
        return None
    if index.journal() or index.problems():
        return None
    remotes = []
    for name, settings in repo.read_config().remotes.items():
        theirs = repo.refs.read(remote_head(name))
        if theirs is not None and theirs != head:
            return None  # how far they are apart is not for who watches to count
        remotes.append(RemoteState(name, settings.url, *_compare(repo, head, theirs)))
    return status_at_rest(head, title_of(repo, head), remotes)


def title_of(repo: Repository, head: CheckpointId | None) -> str | None:
    """What a head's checkpoint is called, in a line; None where there is no head."""
    if head is None:
        return None
    checkpoint = repo.checkpoint(head)
    return "a merge" if checkpoint.is_merge else checkpoint.message.partition("\n")[0]


class Seen(NamedTuple):
    """What the folder holds: as :class:`~replican.effects.scan.Scan` has it."""

    root: TreeId
    payloads: Mapping[TreeId, bytes]
    problems: list[Problem]
    skipped: list[Problem]


def see(repo: Repository, index: Index, told: Told | None) -> "Seen | Scan":
    """What the folder holds. The index is not taken for what the tracker meant unless it has the same tree. Large files
    are not read where there is a watch, which does that, if it is paused, then later."""
    state = None if told is None else told.state
    if (
        state is None
        or state.root is None
        or len(state.doubtful) > _MOST_DOUBTFUL
        or index.observed_root() != state.root
    ):
        from replican.effects.hashing import PuttingOff
        from replican.effects.scan import scan

        return scan(repo.root, index, progress=repo.progress, putting_off=None if told is None else PuttingOff())
    if not state.doubtful:
        return Seen(state.root, {}, sorted(index.problems()), [])  # and what looks at folders is not even loaded
    from replican.effects.hashing import PuttingOff
    from replican.effects.observe import observe_paths

    seen = observe_paths(repo.root, index, state.doubtful, progress=repo.progress, putting_off=PuttingOff())
    left = [each for each in index.problems() if not any(is_below(each.path, path) for path in state.doubtful)]
    return seen._replace(problems=sorted({*left, *seen.problems}))


def _look(repo: Repository, index: Index, notes: list[str], told: Told | None, *, lost: bool = False) -> Status:
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
    seen = see(repo, index, told)
    overlay = TreeOverlay(repo)
    overlay.new.update(seen.payloads)
    tree = seen.root if lost else reconcile(overlay, base, head_tree, seen.root).tree
    found = list(diff_trees(overlay, head_tree, tree))
    return Status(
        head,
        title_of(repo, head),
        list(expand(overlay, found)),
        summarize(overlay, found),
        list(conflicts_in(overlay, tree, None if lost else _without_copies(index, _marked(index, told)))),
        pending,
        seen.problems,
        seen.skipped,
        remotes_of(repo, head),
        notes,
    )


def _marked(index: Index, told: Told | None) -> Collection[bytes]:
    """The directories, as the index last saw them, in which some name could be a conflict copy's."""
    marked = None if told is None else told.marked
    if marked is not None and marked.root is not None and marked.root == index.observed_root():
        return marked.doubtful
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
