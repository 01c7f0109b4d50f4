"""One command of a history: run through the operations, in this process, and told in words."""

import os
from typing import Any

from replican.decisions.treediff import diff_trees, find_entry
from replican.effects.prepared import NO_SOURCE
from replican.operations import syncing
from replican.operations.fetching import fetch_from
from replican.operations.merging import settle_pending
from replican.operations.recording import record
from replican.operations.remotes import opened_remote
from replican.operations.settling import forget_missing
from replican.operations.tending import tend
from replican.operations.undoing import undo
from replican.repository import Repository
from replican.values.errors import DivergedError, RefusedError, RemoteError
from replican.values.journal import JournalEntry
from replican.values.trees import DIRECTORY, Entry

ALLOWED = frozenset({"--allow-mass-delete", "--allow-unrelated", "--allow-missing-mount"})
USUAL = (RefusedError, DivergedError, RemoteError)
"""What a command may end with in a history: a closed gate, a remote that has more, content that is nowhere."""


def run(command: str, root: str, other: str, allowed: frozenset[str] = ALLOWED) -> str:
    """One command; how it ended, in words."""
    with Repository(root, wait=0.2) as repo:
        try:
            if command == "record":
                done: object = "new" if record(repo, allowed=allowed).new else "nothing new"
                with repo.writing("settle"):
                    settle_pending(repo)
            elif command == "undo":
                done = f"{len(undo(repo, allowed=allowed).changes)} changes"
            elif command == "gc":
                done = f"{tend(repo, grace_days=0).dropped} objects dropped"
            elif command == "pull":
                pulled = syncing.pull(repo, other, allowed=allowed)
                done = f"{pulled.merged.kind.name.lower()}{_told(pulled.merged.pending)}"
            elif command == "push":
                done = f"pushed{_told(syncing.push(repo, other).pending)}"
            elif command == "sync":
                synced = syncing.sync(repo, other, allowed=allowed)
                pending = synced.pushed[-1].pending if synced.pushed else []
                done = f"{'equal' if synced.equal else 'not equal'}{_told(pending)}"
            else:
                done = _by_parts(command, repo, other, allowed)
        except USUAL as error:
            done = f"{type(error).__name__}: {error.message}"
        return str(done)


def _by_parts(command: str, repo: Repository, name: str, allowed: frozenset[str]) -> str:
    with opened_remote(repo, name) as remote:
        if command == "fetch":
            remote.refresh()
            return f"{fetch_from(repo, remote).checkpoints} checkpoints"
        if repo.index.base_root() != repo.head_tree:
            # As each command that merges does: after a kill, whole directories are known again by nothing else.
            record(repo, allowed=allowed, past_gates=True)
        merged = syncing.merge_remote(repo, remote, allowed=allowed)
        return f"{merged.kind.name.lower()}{_told(merged.pending)}"


def _told(pending: list[Any]) -> str:
    return f", pending {[(each.path, each.cause) for each in pending]}" if pending else ""


def left_by(root: str) -> tuple[list[JournalEntry], list[bytes]]:
    """What stands in the journal of a replica after a kill, and where its disk is behind its head."""
    with Repository(root) as repo:
        if not os.path.exists(f"{repo.dotdir}/index.db"):
            return [], []
        behind = [change.path for change in diff_trees(repo, repo.index.base_root(), repo.head_tree)]
        return repo.index.journal(), behind


def about(entry: JournalEntry) -> tuple[bytes, bool]:
    """The path that an entry of a journal is about, and whether it is about all below that."""
    return entry.path, any(side is not None and side.kind == DIRECTORY for side in (entry.old, entry.new))


def missing(root: str) -> list[tuple[bytes, Entry]]:
    """The pending paths of a replica, if all that they lack is content, with what the head has there."""
    with Repository(root) as repo:
        pending = repo.index.pending()
        entries = [(each.path, find_entry(repo, repo.head_tree, each.path)) for each in pending]
        if any(each.cause != NO_SOURCE for each in pending):
            return []
        return [(path, entry) for path, entry in entries if entry is not None]


def forget(root: str) -> str:
    """Have a user give up what is nowhere any more."""
    with Repository(root, wait=0.2) as repo:
        return f"forgets {forget_missing(repo, allowed=ALLOWED).names}"
