"""Settling a conflict by a tool of the user's: its versions are laid out as files, and what it makes of them wins.

No lock is held while it runs, which may take an hour. The folder may change meanwhile: then nothing is settled.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from replican.decisions.edits import edit_tree
from replican.decisions.reconcile import OpenConflict, conflicts_in
from replican.decisions.resolution import CURRENT, settle
from replican.effects.contents import ShelfStore
from replican.effects.trash import hash_open
from replican.effects.worktree import FILE_FLAGS
from replican.operations.amending import Amended, amend
from replican.operations.history import at_path, writer_of
from replican.operations.reading import BlobReader
from replican.operations.recording import record
from replican.operations.settling import Resolved, choose, names_in
from replican.operations.sources import sources
from replican.repository import Repository
from replican.values.errors import MovedError, NotFoundError, RefusedError
from replican.values.names import group_key
from replican.values.paths import join, name_of, parent_of, show
from replican.values.progress import Traffic, together
from replican.values.trees import FILE, Entry, TreeOverlay


class LaidOut(NamedTuple):
    """Two versions of a name, and the one that both come from (an empty file where no store has one), as files; the
    tool leaves what shall be in ``result``, which holds the current version at first."""

    path: bytes
    base: str
    current: str
    copy: str
    result: str


Tool = Callable[[LaidOut], bool]
"""Runs the tool; whether it was content with what it made."""


def resolve_by_tool(
    repo: Repository,
    paths: Sequence[bytes],
    tool: Tool,
    *,
    message: str | None = None,
    allowed: frozenset[str] = frozenset(),
) -> tuple[Resolved, list[bytes]]:
    """Settle the conflicts that ``paths`` name, one after the other; and those that the tool gave up on, which stay
    open.

    Where a name has several copies, they are merged one by one. Raises ``NotFoundError`` for a path without a conflict,
    or where a version is nowhere; ``RefusedError`` for links and directories.
    """
    with repo.writing("resolve"):
        old = record(repo, past_gates=True).head
        chosen = choose(list(conflicts_in(repo, repo.head_tree)), paths)
    done = Resolved([], old, old, [])
    wires: list[Traffic] = []
    open_still: list[bytes] = []
    for conflict in chosen:
        with tempfile.TemporaryDirectory(prefix="replican-") as place:
            made = _run(repo, conflict, tool, place, wires)
            if made is None:
                open_still.append(conflict.path)
                continue
            amended = _settle(repo, conflict, made, message, allowed, wires)
            done = Resolved([*done.names, conflict.path], old, amended.head, amended.outcome.pending)
    return done._replace(wire=together(wires)), open_still


def _run(repo: Repository, conflict: OpenConflict, tool: Tool, place: str, wires: list[Traffic]) -> str | None:
    """The file that the tool made of all versions; None if it gave up."""
    versions = [(conflict.path, conflict.current), *conflict.copies]
    if any(entry.kind != FILE for _, entry in versions):
        raise RefusedError(
            f"{show(conflict.path)} has versions that are no files", "settle it with --keep current, copy or both"
        )
    name = os.fsdecode(name_of(conflict.path)[-100:])
    stem, dot, extension = name.rpartition(".") if "." in name[1:] else (name, "", "")
    files = {each: os.path.join(place, f"{stem}.{each}{dot}{extension}") for each in ("BASE", "CURRENT", "RESULT")}
    with BlobReader(repo, wires) as reader:
        _write(reader, conflict.current, conflict.path, files["CURRENT"])
        shutil.copyfile(files["CURRENT"], files["RESULT"])
        for number, (path, entry) in enumerate(conflict.copies):
            copy = os.path.join(place, f"{stem}.COPY{number or ''}{dot}{extension}")
            _write(reader, entry, path, copy)
            _write_base(repo, reader, conflict, path, entry, files["BASE"])
            laid = LaidOut(conflict.path, files["BASE"], files["CURRENT"], copy, files["RESULT"])
            if not tool(laid) or not os.path.isfile(files["RESULT"]) or os.path.islink(files["RESULT"]):
                return None
            shutil.copyfile(files["RESULT"], files["CURRENT"])
    return files["RESULT"]


def _write(reader: BlobReader, entry: Entry, path: bytes, file: str) -> None:
    with reader.read(entry.blob, path) as content, open(file, "wb") as target:
        target.writelines(content.chunks())


def _write_base(
    repo: Repository, reader: BlobReader, conflict: OpenConflict, path: bytes, copy: Entry, file: str
) -> None:
    base = _base_of(repo, conflict, path, copy)
    if base is not None and base.kind == FILE:
        try:
            _write(reader, base, conflict.path, file)
            return
        except NotFoundError:
            pass  # nobody has it any more: the log holds no content
    with open(file, "wb"):
        pass


def _base_of(repo: Repository, conflict: OpenConflict, path: bytes, copy: Entry) -> Entry | None:
    """What the name held where those who wrote the two versions parted."""
    own = join(parent_of(conflict.path), group_key(name_of(conflict.path)))
    places = tuple(dict.fromkeys((own, conflict.path, path)))
    writers = [writer_of(repo, repo.head, places, entry) for entry in (conflict.current, copy)]
    one, other = writers
    if one is None or other is None:
        return None
    for common in sorted(repo.graph.merge_base(one.entry.id, other.entry.id)):
        return at_path(repo, repo.checkpoint(common).tree, own)
    return None


def _settle(
    repo: Repository,
    conflict: OpenConflict,
    made: str,
    message: str | None,
    allowed: frozenset[str],
    wires: list[Traffic],
) -> Amended:
    """Record the file that the tool ``made`` in the place of all versions. It is taken from where it lies."""
    place = os.path.dirname(made)
    fd = os.open(made, FILE_FLAGS)
    try:
        found = os.fstat(fd)
        blob = hash_open(fd, found.st_size)
    finally:
        os.close(fd)
    os.rename(made, os.path.join(place, blob.hex()))
    with repo.writing("resolve"):
        record(repo, past_gates=True)
        tree = repo.head_tree
        if conflict not in list(conflicts_in(repo, tree)):
            raise MovedError(f"{show(conflict.path)} has changed meanwhile: it was left as it is", "do it again")
        changes = settle(conflict, CURRENT, None, names_in(repo, tree, parent_of(conflict.path)))
        for path, entry in changes.items():
            if entry is not None:
                same = entry.id == blob
                time_ns = entry.mtime_ns if same else found.st_mtime_ns
                changes[path] = entry._replace(size=found.st_size, mtime_ns=time_ns, id=blob)
        overlay = TreeOverlay(repo)
        made_tree = edit_tree(overlay, tree, changes)
        text = message or f"resolve {show(name_of(conflict.path))}: by a tool"
        with sources(repo, wires=wires) as known:
            stores = [ShelfStore("what the tool made", place), *known.for_writing]
            return amend(repo, overlay, made_tree, text, stores, allowed=allowed, must_have=changes.keys())
