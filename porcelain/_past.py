"""How log and show tell of a checkpoint: its header, its JSON, what it changed."""

from typing import TYPE_CHECKING, Any, Final

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.values.ids import CheckpointId
from replican.values.trees import DIRECTORY, FILE, LINK, Entry

if TYPE_CHECKING:
    from replican.operations.comparing import Difference
    from replican.operations.history import LogEntry
    from replican.repository import Repository

LETTERS: Final = {"added": "A", "deleted": "D", "modified": "M", "type changed": "T", "attributes changed": "a"}
"""How a change is shown on a line; the last is for permissions and times alone."""
KINDS: Final = {FILE: "file", DIRECTORY: "directory", LINK: "link"}


def subject(entry: "LogEntry") -> str:
    """A checkpoint in a few words."""
    if entry.checkpoint.is_merge:
        return f"merge of {len(entry.checkpoint.parents)}"
    return entry.checkpoint.message.partition("\n")[0] or "(no message)"


def when(time_ns: int, how: str = "%a %b %e %H:%M:%S %Y %z") -> str:
    """A time as git shows it, or otherwise: local, with its offset."""
    import time

    seconds = time_ns // 1_000_000_000
    try:
        return time.strftime(how, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"


def names_of(names: dict[CheckpointId, list[str]], checkpoint: CheckpointId) -> str:
    """The refs that are at a checkpoint, in brackets; empty for none."""
    found = names.get(checkpoint)
    return f" ({', '.join(found)})" if found else ""


def header(entry: "LogEntry", names: dict[CheckpointId, list[str]]) -> str:
    """The header and the message of a checkpoint, as git's log has them."""
    checkpoint = entry.checkpoint
    lines = [f"checkpoint {entry.id.hex()}{names_of(names, entry.id)}"]
    if checkpoint.author is None:
        lines.append(f"Merge:  {' '.join([parent.hex()[:12] for parent in checkpoint.parents])}")
    else:
        lines.append(f"Author: {checkpoint.author.name} ({checkpoint.author.peer})")
    lines.append(f"Date:   {when(entry.time_ns)}")
    if checkpoint.message:
        lines += ["", *[f"    {line}".rstrip() for line in checkpoint.message.rstrip("\n").split("\n")]]
    return "\n".join(lines) + "\n"


def change_line(change: "Difference") -> str:
    """A change on one line: its letter, its path, and which attributes changed where nothing else did."""
    line = f"{LETTERS[change.status]}\t{quoted(change.path)}"
    details = attributes(change)
    return f"{line}\t{', '.join(details)}" if details else line


def attributes(change: "Difference") -> list[str]:
    """What changed but the content: ``mode 0644 -> 0755``, ``time``."""
    old, new = change.old, change.new
    if old is None or new is None:
        return []
    found = []
    if old.perm != new.perm:
        found.append(f"mode {old.perm:04o} -> {new.perm:04o}")
    if old.mtime_ns != new.mtime_ns and change.status == "attributes changed":
        found.append("time")
    return found


def json_entry(entry: Entry) -> dict[str, str | int]:
    """What a name holds, in JSON."""
    return {
        "kind": KINDS[entry.kind],
        "id": entry.id.hex(),
        "mode": f"{entry.perm:04o}",
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
    }


def json_change(change: "Difference") -> dict[str, Any]:
    """A change as ``diff --json`` has it; a side that is not there is null."""
    return {
        **json_path(change.path),
        "status": change.status,
        "old": None if change.old is None else json_entry(change.old),
        "new": None if change.new is None else json_entry(change.new),
    }


def split_arguments(ctx: Context, repo: "Repository", words: tuple[str, ...]) -> tuple[list[str], tuple[bytes, ...]]:
    """Words that may be names of checkpoints or paths: the names, then the paths.

    What stood after ``--`` is a path. Before it, a word is a name unless something lies there on the disk or in the
    head; and after the first path all are paths. Raises ``NotFoundError`` for a word that is neither.
    """
    at = len(words) - ctx.after_dashes
    names: list[str] = []
    for number, word in enumerate(words[:at]):
        if _is_path(ctx, repo, word):
            return names, tuple([ctx.path(each) for each in words[number:]])
        names.append(word)
    return names, tuple([ctx.path(each) for each in words[at:]])


def _is_path(ctx: Context, repo: "Repository", word: str) -> bool:
    import os

    from replican.operations.history import at_path
    from replican.operations.revisions import ref_named
    from replican.values.errors import UsageError

    if any(repo.refs.read(ref) is not None for ref in ref_named(word)):
        return False
    if os.path.lexists(word):
        return True
    try:
        return at_path(repo, repo.head_tree, ctx.path(word)) is not None
    except UsageError:
        return False
