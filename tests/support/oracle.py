"""What has to be true when all replicas of a history have come to rest: nothing lost, nothing back, all equal.

It knows what each user wrote and removed with what they had in front of them, and nothing of how replican works.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from folders import Seen, differences, seen_of, snapshot
from users import Key, directories, group_of, versions
from verdicts import verdict

from replican.decisions.treediff import diff_trees, walk_tree
from replican.effects.index import Index
from replican.effects.scan import scan
from replican.operations.checking import TRASH, check
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.ids import TreeId, blob_id
from replican.values.paths import is_below
from replican.values.trees import DIRECTORY, Entry, TreeOverlay


class Oracle:
    """``doubted`` are groups of which nobody can say what their user had seen: what was deleted there may be back."""

    def __init__(self) -> None:
        self.written: Counter[Key] = Counter()
        self.dropped: set[Key] = set()
        self.hands: dict[Key, set[int]] = {}
        self.made: Counter[bytes] = Counter()
        self.removed: set[bytes] = set()
        self.used: set[bytes] = set()
        self.doubted: set[bytes] = set()
        self.doubted_wholly: set[bytes] = set()
        self.meanwhile = False
        self.killed = False
        self.linked = False
        self._open: dict[int, set[tuple[bytes, bool]]] = {}
        self._expected: set[bytes] = set()
        self._contents: dict[bytes, tuple[str, bytes]] = {}

    # -- what happens ------------------------------------------------------------------------------------------------

    def acted(self, who: int, root: str, before: dict[bytes, Seen], after: dict[bytes, Seen], meanwhile: bool) -> None:
        """A user did something; what their folder held before and after."""
        self.meanwhile |= meanwhile
        self._doubt_changed(who, {path for path in {*before, *after} if before.get(path) != after.get(path)})
        had, has = versions(before), versions(after)
        for key in has - had:
            self.written[key] += 1
            self.hands.setdefault(key, set()).add(who)
            if self.hands[key] == {who}:
                self.dropped.discard(key)  # made again by the only one who ever had a hand in it
        if meanwhile:
            # A merge may be about to take what holds the same in another name of the group.
            has -= versions({path: seen for path, seen in before.items() if after.get(path) != seen})
            self.doubted |= {key[0] for key in had - has}
        for key in had - has:
            self.dropped.add(key)
            self.hands.setdefault(key, set()).add(who)
        had_directories, has_directories = directories(before), directories(after)
        for path in has_directories - had_directories:
            self.made[path] += 1
        for path in had_directories - has_directories:
            self.removed.add(path)
            if meanwhile:
                self.doubted_wholly.add(path)
        for path, seen in after.items():
            if before.get(path) != seen:
                self._know(os.path.join(os.fsencode(root), path), seen)
                if b"/" in path:
                    self.used.add(path.rpartition(b"/")[0])

    def _know(self, at: bytes, seen: Seen) -> None:
        if seen[0] == "link":
            self._contents[b"l" + blob_id(seen[3])] = (seen[0], seen[3])
        elif seen[0] == "file":
            with open(at, "rb") as file:
                self._contents[b"f" + blob_id(file.read())] = (seen[0], seen[3])

    def must_be_there(self, content: bytes) -> None:
        """A program wrote this to a file that it had open, wherever that was by then."""
        self._expected.add(seen_of(content))
        self._contents[b"f" + blob_id(content)] = ("file", seen_of(content))

    def doubt(self, who: int, path: bytes, whole: bool) -> None:
        """A killed run was about to change this: with ``whole``, all that is below it. What its user does there before
        the next run, nobody can tell from what the run did."""
        self._open.setdefault(who, set()).add((path, whole))

    def looked(self, who: int, left: Iterable[tuple[bytes, bool]]) -> None:
        """Runs there have come to their end, and know again what a killed one left, but for what is ``left``."""
        self._open[who] = set(left)

    def _doubt_changed(self, who: int, changed: set[bytes]) -> None:
        for path, whole in self._open.get(who, ()):
            self.doubted |= {
                group_of(each)
                for each in changed
                if group_of(each) == group_of(path) or (whole and is_below(each, path))
            }

    def undone(self, repo: Repository, before: TreeId, after: TreeId) -> None:
        """A user took back a merge: all that is in the one tree only was removed, or written, by them."""
        had, has = self._recorded(repo, before), self._recorded(repo, after)
        for key in had - has:
            self.dropped.add(key)
            self.hands.setdefault(key, set()).add(-1)
        for key in has - had:
            self.written[key] += 2
            self.hands.setdefault(key, set()).add(-1)
        for path, entry in walk_tree(repo, before):
            if entry.kind == DIRECTORY:
                self.removed.add(path)
        for path, entry in walk_tree(repo, after):
            if entry.kind == DIRECTORY:
                self.made[path] += 2

    def _recorded(self, repo: Repository, tree: TreeId) -> set[Key]:
        return {
            (group_of(path), *self._contents[entry.kind + entry.id])
            for path, entry in walk_tree(repo, tree)
            if entry.kind != DIRECTORY
        }

    def may_be_gone(self, path: bytes, entry: Entry) -> bool:
        """Whether a user has deleted this version, and replican cannot know of it."""
        key = (group_of(path), *self._contents[entry.kind + entry.id])
        return key in self.dropped and (self.written[key] > 1 or self._is_doubted(key[0]))

    # -- what has to be true -------------------------------------------------------------------------------------

    def check_contents(self, final: dict[bytes, Seen]) -> str | None:
        there = versions(final)
        somewhere = {key[1:] for key in there | self.dropped}
        for key in self.written:
            if key in there or key in self.dropped:
                continue
            if not key[2] and self._is_doubted(key[0]):
                continue  # an empty file after a kill is what a power cut leaves
            # Who moved a directory while a merge wrote to it moved that, too.
            if not (self.meanwhile and key[1:] in somewhere):
                return verdict("lost", key)
        for content in self._expected:
            if ("file", content) not in somewhere:
                return verdict("lost", f"what was written to an open file: {content!r}")
        for key in sorted(there & self.dropped):
            if self.written[key] < 2 and not self._is_doubted(key[0]):
                return verdict("back", key)
        return self._check_directories(final)

    def _check_directories(self, final: dict[bytes, Seen]) -> str | None:
        there = directories(final)
        for path in self.made:
            if not self.meanwhile and path not in there and not any(is_below(path, each) for each in self.removed):
                return verdict("lost", f"directory {path!r}")
        for path in there & self.removed:
            if self.made[path] < 2 and path not in self.used and not self._is_doubted(path):
                return verdict("back", f"directory {path!r}")
        return None

    def _is_doubted(self, path: bytes) -> bool:
        return path in self.doubted or any(is_below(path, each) for each in self.doubted_wholly)

    def check_folders(self, roots: Sequence[str]) -> str | None:
        """All hold the same, at the same head, and each is sound."""
        first = snapshot(roots[0])
        heads = set()
        for root in roots:
            wrong = differences(first, snapshot(root))
            if wrong:
                names = f"{os.path.basename(roots[0])} / {os.path.basename(root)}"
                return verdict("unequal", f"{names}: {'; '.join(wrong)}")
            with Repository(root) as repo:
                name = os.path.basename(root)
                heads.add(repo.head)
                index = repo.index
                if index.pending() or index.problems() or index.journal():
                    left = f"{index.pending()}, {index.problems()}, {index.journal()}"
                    return verdict("not at rest", f"{name}: left are {left}")
                if index.base_root() != repo.head_tree or index.observed_root() != repo.head_tree:
                    return verdict("unsound", f"{name}: the index is not at the head")
                with Index.open(":memory:", writable=True) as nothing:
                    found = scan(root, nothing, workers=1)
                    if found.root != repo.head_tree:
                        trees = TreeOverlay(repo)
                        trees.new.update(found.payloads)
                        wrong = [str(each) for each in diff_trees(trees, repo.head_tree, found.root)]
                        what = f"{name}: a scan from nothing finds another tree: {'; '.join(wrong)}"
                        return verdict("unsound", what)
                damage = check(repo, content=True)
                # Through another name of its inode, what is in the trash can be rewritten unseen.
                found_damage = [each for each in damage.damage if each.what != TRASH or not self.linked]
                if found_damage or damage.edited:
                    return verdict("unsound", f"{name}: fsck finds {damage}")
                staged = os.listdir(f"{repo.dotdir}/stage")
                if staged and not self.killed:
                    return verdict("unsound", f"{name}: left on the stage are {staged}")
        return None if len(heads) == 1 else verdict("unequal", f"heads differ: {heads}")

    def check_rest(self, roots: Sequence[str], again: Callable[[], None]) -> str | None:
        """A further round touches nothing."""
        before = [(_heads(root), _inodes(root)) for root in roots]
        again()
        for root, was in zip(roots, before, strict=True):
            now = (_heads(root), _inodes(root))
            if now != was:
                changed = set(was[1].items()) ^ set(now[1].items())
                return verdict("not at rest", f"{os.path.basename(root)}: a further round changed {changed}")
            with Repository(root) as repo:
                if record(repo, full=True).new:
                    return verdict("unsound", f"{os.path.basename(root)}: a full scan finds something new")
        return None


def _heads(root: str) -> object:
    with Repository(root) as repo:
        return repo.head


def _inodes(root: str) -> dict[bytes, tuple[int, int]]:
    found = {}
    for path in snapshot(root):
        status = os.lstat(os.path.join(os.fsencode(root), path))
        found[path] = (status.st_ino, 0 if os.path.isdir(os.path.join(os.fsencode(root), path)) else status.st_ctime_ns)
    return found
