"""Names for what is on the log: from what a user types to an id of the right type.

A name is a ref (``HEAD``, ``origin/head``, ``origin``), a whole or abbreviated id, or where a ref was before
(``HEAD@{1}``, ``HEAD@{2026-11-20 14:00}``), followed by any of ``~n``, ``^``, ``^n``, ``^{tree}``, and at the end
perhaps by ``:PATH``. Every command resolves names here.
"""

import re
import time
from typing import NamedTuple

from replican.decisions.treediff import find_entry
from replican.effects.forms import BLOB, CHECKPOINT, TREE, show_kind
from replican.effects.refs import HEAD, check_ref_name, is_remote_name, remote_head
from replican.repository import Repository
from replican.values.errors import NotFoundError, UsageError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId, is_hex_id
from replican.values.paths import from_text
from replican.values.quoting import quote
from replican.values.trees import DIRECTORY, Entry

SHORTEST = 4
"""Fewer hex digits than this are no abbreviation."""

_ABBREVIATED = re.compile(r"[0-9a-fA-F]{4,64}", re.ASCII)
_STEP = re.compile(r"~([0-9]{0,9})|\^([0-9]{0,9})(?!\{)|\^\{(tree|commit|checkpoint)?\}", re.ASCII)
_BEFORE = re.compile(r"@\{([^{}]*)\}")
_SHOWN_CANDIDATES = 10


class Named(NamedTuple):
    """What a name means: ``kind`` is that of an object, as framed, or None for a whole id that the log does not have
    (most likely a blob's). ``entry`` and ``path`` are those of a ``REF:PATH``."""

    kind: bytes | None
    id: bytes
    entry: Entry | None = None
    path: bytes = b""


def resolve(repo: Repository, name: str) -> Named:
    """What ``name`` means; raises ``NotFoundError``, also for an abbreviation that fits several, which it lists."""
    revision, path = _split_path(name)
    if path is None:
        return _resolve(repo, revision, None)
    if not revision:
        raise UsageError(f"a name is missing before ':' in '{name}'", "write HEAD:PATH")
    return _at_path(repo, revision, tree_of(repo, _resolve(repo, revision, TREE), revision), from_text(path))


def checkpoint_named(repo: Repository, name: str) -> CheckpointId:
    """The checkpoint that ``name`` means, which is there; raises ``NotFoundError``."""
    revision, path = _split_path(name)
    if path is not None:
        raise NotFoundError(f"'{name}' is not a checkpoint")
    found = _resolve(repo, revision, CHECKPOINT)
    if found.kind != CHECKPOINT:
        raise NotFoundError(
            _no_object(name) if found.kind is None else f"'{name}' is a {show_kind(found.kind)}, not a checkpoint"
        )
    return CheckpointId(found.id)


def tree_named(repo: Repository, name: str) -> TreeId:
    """The directory that ``name`` means: a tree, a checkpoint's tree, or ``REF:PATH``; raises
    ``NotFoundError``."""
    revision, path = _split_path(name)
    return tree_of(repo, resolve(repo, name) if path is not None else _resolve(repo, revision, TREE), name)


def tree_of(repo: Repository, named: Named, name: str) -> TreeId:
    """The tree that an already resolved ``name`` stands for; raises ``NotFoundError``."""
    if named.kind == CHECKPOINT:
        return repo.checkpoint(CheckpointId(named.id)).tree
    if named.kind == TREE:
        return TreeId(named.id)
    raise NotFoundError(_no_object(name) if named.kind is None else f"'{name}' is not a directory")


def ref_named(name: str) -> list[str]:
    """The refs that ``name`` may mean, the likeliest first; none for what cannot be the name of a ref.

    ``head``, ``HEAD`` and ``@`` are this folder's; ``origin`` is short for ``origin/head``; ``refs/`` may stand before.
    """
    name = name.removeprefix("refs/")
    if name in (HEAD, "HEAD", "@"):
        return [HEAD]
    found = []
    parts = name.split("/")
    if len(parts) == 3 and parts[0] in ("remotes", "stores"):
        found.append(name)
    elif parts[-1] in ("head", "HEAD") and len(parts) == 2:
        found += [remote_head(parts[0]), f"stores/{parts[0]}/head"]
    elif len(parts) == 1:
        found += [remote_head(name), f"stores/{name}/head"]
    return [ref for ref in found if is_remote_name(ref.split("/")[1]) and ref.endswith("/head")]


def whole_ref_name(name: str) -> str:
    """The one ref that a command which changes refs was told; raises ``UsageError``."""
    found = ref_named(name)
    if not found:
        check_ref_name(name)
    return found[0]


def shorten(repo: Repository, id: bytes, least: int = 7) -> str:
    """The fewest hex digits, but at least ``least``, that mean no other object of the log."""
    digits = id.hex()
    others = [other.hex() for other, _ in repo.objects.resolve_prefix(digits[:least]) if other != id]
    length = least
    while any(other.startswith(digits[:length]) for other in others):
        length += 1
    return digits[:length]


# -- the parts of a name ---------------------------------------------------------------------------------------------


def _split_path(name: str) -> tuple[str, str | None]:
    """``REF`` and ``PATH``; a colon within ``@{...}`` does not divide them."""
    depth = 0
    for at, char in enumerate(name):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == ":" and depth <= 0:
            return name[:at], name[at + 1 :]
    return name, None


def _resolve(repo: Repository, revision: str, wanted: bytes | None) -> Named:
    """A name without a path. Where an abbreviation fits several, those count that can be made a ``wanted``."""
    cut = min((at for at in (revision.find("~"), revision.find("^")) if at >= 0), default=len(revision))
    base, steps = revision[:cut], revision[cut:]
    found = _base(repo, base, CHECKPOINT if steps else wanted)
    at = 0
    while at < len(steps):
        step = _STEP.match(steps, at)
        if step is None:
            raise NotFoundError(f"not a name: '{revision}'", "after a checkpoint come ~N, ^N or ^{tree}")
        at = step.end()
        found = _step(repo, found, step, base + steps[: step.start()])
    return found


def _step(repo: Repository, found: Named, step: re.Match[str], so_far: str) -> Named:
    back, parent, kind = step.groups()
    if kind == "tree":
        return Named(TREE, tree_of(repo, found, so_far))
    if found.kind != CHECKPOINT:
        raise NotFoundError(_no_object(so_far) if found.kind is None else f"'{so_far}' is not a checkpoint")
    at = CheckpointId(found.id)
    if back is not None:
        for _ in range(int(back or 1)):
            at = _only_parent(repo, at)
    elif parent == "":
        at = _only_parent(repo, at)
    elif parent is not None and int(parent):
        parents = sorted(repo.checkpoint(at).parents)
        if int(parent) > len(parents):
            raise NotFoundError(f"'{so_far}' has {_count(len(parents), 'parent')}, not {int(parent)}")
        at = parents[int(parent) - 1]
    return Named(CHECKPOINT, at)


def _only_parent(repo: Repository, checkpoint: CheckpointId) -> CheckpointId:
    parents = repo.checkpoint(checkpoint).parents
    if len(parents) == 1:
        return parents[0]
    if not parents:
        raise NotFoundError(f"{checkpoint.hex()} is the first checkpoint: there is none before it")
    listed = "\n".join([f"^{number} is {parent.hex()}" for number, parent in enumerate(sorted(parents), 1)])
    raise NotFoundError(
        f"{checkpoint.hex()} joins {len(parents)} checkpoints, and none of them is the one before it",
        f"name one of its parents, or this folder's own past, as in HEAD@{{1}}:\n{listed}",
    )


def _base(repo: Repository, base: str, wanted: bytes | None) -> Named:
    before = _BEFORE.search(base)
    if before is not None:
        if before.end() != len(base):
            raise NotFoundError(f"not a name: '{base}'")
        return Named(CHECKPOINT, _before(repo, base[: before.start()] or "HEAD", before[1]))
    for ref in ref_named(base):
        found = repo.refs.read(ref)
        if found is not None:
            return Named(CHECKPOINT, found)
    if is_hex_id(base.lower()):
        return whole_id(repo, bytes.fromhex(base))
    if _ABBREVIATED.fullmatch(base):
        return _abbreviated(repo, base.lower(), wanted)
    if HEAD in ref_named(base):
        raise NotFoundError("the log is empty: there is no head yet", "record the folder with `replican commit`")
    raise NotFoundError(f"no such name: '{base}'", "a name is HEAD, REMOTE/head, or the first digits of an id")


def whole_id(repo: Repository, id: bytes) -> Named:
    """What an id is of, which need not be on the log."""
    if id == EMPTY_TREE:
        return Named(TREE, id)
    try:
        return Named(repo.objects.read(id)[0], id)
    except NotFoundError:
        return Named(None, id)


def _abbreviated(repo: Repository, digits: str, wanted: bytes | None) -> Named:
    found = repo.objects.resolve_prefix(digits)
    if wanted is not None and len(found) > 1:
        usable = [each for each in found if each[1] == wanted or (wanted == TREE and each[1] == CHECKPOINT)]
        found = usable or found
    if len(found) == 1:
        id, kind = found[0]
        return Named(kind, id)
    if found:
        raise ambiguous(digits, found)
    raise NotFoundError(f"no object on the log has an id that begins with '{digits}'")


def ambiguous(digits: str, found: list[tuple[bytes, bytes]]) -> NotFoundError:
    """The error for an abbreviation that several ids (each with its kind) begin with; its hint lists them."""
    lines = [f"{id.hex()} {show_kind(kind)}" for id, kind in found[:_SHOWN_CANDIDATES]]
    if len(found) > _SHOWN_CANDIDATES:
        lines.append(f"and {len(found) - _SHOWN_CANDIDATES} more")
    return NotFoundError(f"{len(found)} ids begin with '{digits}'", "\n".join(["write more digits of one:", *lines]))


def _before(repo: Repository, name: str, when: str) -> CheckpointId:
    """Where a ref was: ``n`` moves ago, or at a date."""
    refs = ref_named(name)
    if not refs:
        raise NotFoundError(f"'{name}' is not a ref: only refs have a past")
    ref = next((ref for ref in refs if repo.refs.reflog(ref)), refs[0])
    log = repo.refs.reflog(ref)
    if not log:
        raise NotFoundError(f"{ref} has no past yet")
    found: CheckpointId | None
    if when.isascii() and when.isdigit() and len(when) < 9:
        moves = int(when)
        if moves > len(log) or (moves == len(log) and log[-1].old is None):
            raise NotFoundError(f"{ref} has moved {_count(len(log), 'time')} only", "see `replican reflog`")
        found = log[moves].new if moves < len(log) else log[-1].old
    else:
        from replican.values.dates import parse_moment

        moment = parse_moment(when, time.time_ns())
        found = next((entry.new for entry in log if entry.time * 1_000_000_000 <= moment), log[-1].old)
    if found is None:
        raise NotFoundError(f"{ref} was nowhere at that time: it began later", "see `replican reflog`")
    return found


def _at_path(repo: Repository, revision: str, tree: TreeId, text: bytes) -> Named:
    parts = [part for part in text.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise UsageError(f"'..' in {quote(text)}", "paths after ':' are relative to the root of the folder")
    if not parts:
        return Named(TREE, tree)
    path = b"/".join(parts)
    entry = find_entry(repo, tree, path)
    if entry is None:
        raise NotFoundError(f"no {quote(path)} in {revision}")
    return Named(TREE if entry.kind == DIRECTORY else BLOB, entry.id, entry, path)


def _no_object(name: str) -> str:
    return f"no object '{name}' on the log"


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}" + ("" if number == 1 else "s")
