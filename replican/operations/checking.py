"""fsck: whether everything is what it was when it was written. Reads all, changes nothing, takes no lock."""

import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from replican.effects.block_cache import check_cache
from replican.effects.forms import check_object
from replican.effects.hashing import Answer, Job
from replican.effects.index_check import check_index
from replican.effects.reading import hash_all
from replican.effects.refs import HEAD, remote_head
from replican.effects.setting import KNOWN
from replican.effects.trash import Trash, id_at
from replican.operations.proving import Proved, prove
from replican.repository import Repository
from replican.values.checkpoints import Checkpoint
from replican.values.errors import NotFoundError, ReplicanError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId
from replican.values.listing import Row
from replican.values.paths import join, show
from replican.values.trees import DIRECTORY

OBJECT = "object"
REF = "ref"
REFLOG = "reflog"
CONFIG = "config"
INDEX = "index"
BLOCKS = "blocks"
FILE = "file"
TRASH = "trash"
TAIL = "tail"
PLACE = "place"

_DIRECTORIES: Final = ("objects", "objects/loose", "objects/pack", "refs", "stage", "trash", "hooks")
_LOG: Final = _DIRECTORIES[:4]
_FILES: Final = ("lock", "refs/.lock")
_KINDS: Final = {stat.S_IFLNK: "a link", stat.S_IFREG: "a file", stat.S_IFDIR: "a directory"}


class Damage(NamedTuple):
    """One thing that is not what it should be: what it is, its name (an id, a ref, a path), what is wrong."""

    what: str
    name: str
    problem: str


class Checked(NamedTuple):
    """What was looked at, in numbers, and what is damaged. ``edited`` files differ from the index as an edit does.

    ``merges`` are those of the log that were made once more and are right; ``unproven`` those of which nobody can tell
    here (see :class:`~replican.operations.proving.Proved`).
    """

    checkpoints: int
    trees: int
    merges: int
    unproven: int
    files: int
    edited: int
    damage: list[Damage]


def check(repo: Repository, *, content: bool = False) -> Checked:
    """Check everything; with ``content``, every file of the folder and of the trash is read, too."""
    return _Check(repo).run(content)


def in_the_way(dotdir: str) -> Iterator[tuple[str, str]]:
    """The names in ``.replican`` of directories and locks of ours where something else lies, and what: each when it is
    asked for. (An index or a ref that is no file is found by reading it.)"""
    for name in (*_DIRECTORIES, *_FILES):
        try:
            kind = stat.S_IFMT(os.lstat(f"{dotdir}/{name}").st_mode)
        except OSError:
            continue  # it is made when it is needed
        if kind != (stat.S_IFDIR if name in _DIRECTORIES else stat.S_IFREG):
            yield name, _KINDS.get(kind, "no directory" if name in _DIRECTORIES else "no file")


class _Check:
    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._damage: dict[Damage, None] = {}
        self._checkpoints = self._trees = self._files = self._edited = 0
        self._bad: set[bytes] = set()

    def run(self, content: bool) -> Checked:
        self._check_config()
        if self._repo.tailing.flaw is not None:
            self._add(TAIL, "tail", self._repo.tailing.flaw)
        for name, what in in_the_way(self._repo.dotdir):
            self._add(PLACE, name, f"is {what}: something else has its place")
            if name in _LOG and what != "a link":
                return Checked(0, 0, 0, 0, 0, 0, list(self._damage))  # there is nothing to be read
        self._check_objects()
        refs = self._check_refs()
        self._check_connectivity(refs)
        proved = self._check_merges(refs)
        self._check_block_lists()
        if self._check_index() and content:
            self._check_files()
            self._check_trash()
        counts = self._checkpoints, self._trees, proved.merges, proved.unproven, self._files, self._edited
        return Checked(*counts, list(self._damage))

    def _add(self, what: str, name: str, problem: str) -> None:
        self._damage[Damage(what, name, problem)] = None

    def _check_config(self) -> None:
        try:
            for key in {*KNOWN, *(key for key, _ in self._repo.config.items())}:
                self._repo.config.get(key)
            _ = self._repo.config.remotes
        except ReplicanError as error:
            self._add(CONFIG, "config.toml", error.message)

    # -- the log ------------------------------------------------------------------------------------------------

    def _check_objects(self) -> None:
        """Every object has the hash that its id says, and the form of its kind."""
        objects = self._repo.objects
        for error in objects.damage():
            self._add(OBJECT, "pack", error.message)
        ids = list(objects.every_id())
        self._repo.progress.begin("checking objects", len(ids))
        try:
            for each in ids:
                try:
                    kind, payload = objects.read(each)
                    form = check_object(kind, each, payload)
                except ReplicanError as error:
                    self._bad.add(each)
                    self._add(OBJECT, each.hex(), error.message)
                else:
                    if isinstance(form, Checkpoint):
                        self._checkpoints += 1
                    else:
                        self._trees += 1
                self._repo.progress.advance(1)
        finally:
            self._repo.progress.end()

    def _check_refs(self) -> list[tuple[str, CheckpointId]]:
        """Every ref can be read; where they are."""
        repo = self._repo
        names = {HEAD, *repo.refs.names()}
        try:
            names.update(remote_head(name) for name in repo.config.remotes)
        except ReplicanError:
            pass  # the config is damaged, which is told already
        found: list[tuple[str, CheckpointId]] = []
        for name in sorted(names):
            try:
                at = repo.refs.value(name)  # what it names is told with the reason, below
                lines = repo.refs.unreadable_lines(name)
            except ReplicanError as error:
                self._add(REF, name, error.message + (f"; {error.hint}" if error.hint else ""))
                continue
            if lines:
                self._add(REFLOG, name, f"cannot be read in line {', '.join(map(str, lines))}")
            if at is not None and not repo.refs.has_reflog(name):
                self._add(REFLOG, name, "is missing: where the ref was before is not known")
            if at is not None:
                found.append((name, at))
        return found

    def _check_connectivity(self, refs: Iterable[tuple[str, CheckpointId]]) -> None:
        """All that the refs lead to is there."""
        objects = self._repo.objects
        stack = [(at, f"{name} names it") for name, at in refs]
        seen: set[bytes] = set()
        trees: list[tuple[TreeId, str]] = []
        while stack:
            at, because = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            try:
                checkpoint = objects.checkpoint(at)
            except ReplicanError as error:
                self._lacks(at, because, error)
                continue
            trees.append((checkpoint.tree, f"it is the tree of {at.hex()}"))
            stack += [(parent, f"it is a parent of {at.hex()}") for parent in checkpoint.parents]
        while trees:
            tree, because = trees.pop()
            if tree in seen or tree == EMPTY_TREE:
                continue
            seen.add(tree)
            try:
                entries = objects.tree(tree)
            except ReplicanError as error:
                self._lacks(tree, because, error)
                continue
            because = f"the tree {tree.hex()} holds it"
            trees += [(entry.tree, because) for entry in entries if entry.kind == DIRECTORY]

    def _lacks(self, id: bytes, because: str, error: ReplicanError) -> None:
        if isinstance(error, NotFoundError):
            self._add(OBJECT, id.hex(), f"is missing, or of another kind, and {because}")
        elif id not in self._bad:
            self._add(OBJECT, id.hex(), error.message)

    def _check_merges(self, refs: Iterable[tuple[str, CheckpointId]]) -> Proved:
        """Every merge that the refs lead to is what merging its parents gives."""
        proved = prove(self._repo.objects, (at for _, at in refs), self._repo.progress)
        for id, flaw in proved.wrong:
            self._add(OBJECT, id.hex(), flaw)
        return proved

    def _check_block_lists(self) -> None:
        flaw = check_cache(self._repo.block_cache_path)
        if flaw is not None:
            self._add(BLOCKS, "blocks.db", f"{flaw}; block lists are made anew as they are needed")

    # -- the folder ---------------------------------------------------------------------------------------------

    def _check_index(self) -> bool:
        """The index is what was written; whether it can be asked further."""
        try:
            check_index(self._repo.index)
        except ReplicanError as error:
            self._add(INDEX, "index.db", f"{error.message}; the next command that writes rebuilds it")
            return False
        return True

    def _check_files(self) -> None:
        """Every file has the content that the index says, unless its times tell of an edit."""
        index = self._repo.index
        jobs: list[Job] = []
        listed: list[dict[bytes, Row]] = []
        for path in sorted(index.digests()):
            rows = {row.name: row for row in index.rows(path) if row.kind != DIRECTORY}
            if rows:
                jobs.append(Job(path, sorted(rows), sum(row.size for row in rows.values())))
                listed.append(rows)
        self._repo.progress.begin("reading files", sum(map(len, listed)), sum(job.size for job in jobs))
        try:
            for number, answers in hash_all(self._repo.root, jobs, self._repo.progress):
                job, rows = jobs[number], listed[number]
                for name, answer in zip(job.names, answers, strict=True):
                    self._check_file(join(job.path, name), rows[name], answer)
        finally:
            self._repo.progress.end()

    def _check_file(self, path: bytes, row: Row, answer: Answer) -> None:
        self._files += 1
        if answer == "input/output error":
            self._add(FILE, show(path), "cannot be read: input/output error")
        elif isinstance(answer, str) or answer is None:
            self._edited += 1
        elif (answer[0], answer[6]) == (row.kind, row.id):
            return
        elif answer[2:6] == (row.size, row.disk_mtime_ns, row.ctime_ns, row.ino):
            self._add(FILE, show(path), "has another content than was recorded, with the same times")
        else:
            self._edited += 1

    def _check_trash(self) -> None:
        """What lies in the trash is what was taken. What was written to since comes back by itself."""
        items = self._repo.index.trash()
        if not items:
            return
        with Trash(f"{self._repo.dotdir}/trash") as trash:
            written = {item.file for item in trash.changed(items)}
            for item in items:
                self._files += 1
                found = id_at(item.file, trash.fd)
                if found is None:
                    self._add(TRASH, show(item.file), f"cannot be read, or is gone; it was {show(item.path)}")
                elif found != item.blob and item.file in written:
                    self._edited += 1
                elif found != item.blob:
                    self._add(TRASH, show(item.file), f"has another content than was taken; it was {show(item.path)}")
