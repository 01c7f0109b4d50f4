"""How plumbing shows the entries of directories: as lines, as fields of ``--format``, as JSON.

A line is ``<kind><perm> <type> <id> <size> <mtime in ns>`` and, after a tab, the path: what ``ls-tree`` and
``ls-files -s`` print and ``mktree`` reads.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.values.errors import UsageError
from replican.values.paths import name_of
from replican.values.quoting import unquote
from replican.values.trees import DIRECTORY, FILE, LINK, LINK_PERM, SIZE_LIMIT, TIME_LIMIT, Entry

KINDS: Final = {FILE: "file", DIRECTORY: "directory", LINK: "link"}
"""The words for kinds in JSON."""

FIELDS: Final = ("path", "name", "kind", "mode", "type", "id", "size", "mtime_ns")
"""What ``--format`` may ask of an entry."""

_LINE = re.compile(
    rb"([fdl])([01][0-7]{3}) (blob|tree) ([0-9a-f]{64}) (0|[1-9][0-9]{0,18}) (0|-?[1-9][0-9]{0,18})\t(.+)", re.DOTALL
)


def type_of(entry: Entry) -> str:
    """The type of the object that an entry names: ``blob`` or ``tree``."""
    return "tree" if entry.kind == DIRECTORY else "blob"


def mode(entry: Entry) -> str:
    """Kind and permissions: ``f0644``."""
    return f"{entry.kind.decode()}{entry.perm:04o}"


def line(entry: Entry) -> str:
    """An entry as a line, without its path."""
    return f"{mode(entry)} {type_of(entry)} {entry.id.hex()} {entry.size} {entry.mtime_ns}"


def fields(path: bytes, entry: Entry) -> dict[str, str | bytes | int]:
    """An entry for ``--format``."""
    return {
        "path": path,
        "name": name_of(path),
        "kind": entry.kind.decode(),
        "mode": f"{entry.perm:04o}",
        "type": type_of(entry),
        "id": entry.id.hex(),
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
    }


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry in JSON, without its path."""
    return {
        "kind": KINDS[entry.kind],
        "mode": f"{entry.perm:04o}",
        "id": entry.id.hex(),
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
    }


def show(
    ctx: Context,
    found: Iterable[tuple[bytes, Entry]],
    *,
    nul: bool = False,
    names_only: bool = False,
    template: str | None = None,
) -> None:
    """Write entries with their paths in the way that was asked for."""
    if ctx.json:
        if template is not None or names_only:
            raise UsageError("--json goes neither with --format nor with names alone")
        ctx.emit_all({**json_path(path), **as_json(entry)} for path, entry in found)
    elif template is not None:
        form = ctx.formatter(template, FIELDS, nul=nul)
        for path, entry in found:
            ctx.out(form(fields(path, entry)))
    elif names_only:
        for path, _ in found:
            ctx.path_line(path, nul=nul)
    elif nul:
        for path, entry in found:
            ctx.out(f"{line(entry)}\t".encode() + path + b"\0")
    else:
        for path, entry in found:
            ctx.out(f"{line(entry)}\t{quoted(path)}\n")


def parse_line(text: bytes, *, quotes: bool) -> Entry:
    """The entry of a line that :func:`show` wrote, with its path as its name; raises ``UsageError``."""
    match = _LINE.fullmatch(text)
    if match is None:
        raise UsageError("not a line as ls-tree prints it")
    kind, perm, type_, id, size, mtime, name = match.groups()
    if quotes and name[:1] == b'"':
        name = unquote(name.decode("utf-8", "surrogateescape"))
    found = Entry(name, kind, int(perm, 8), int(size), int(mtime), bytes.fromhex(id.decode()))
    if type_.decode() != type_of(found):
        raise UsageError("the type is not that of the kind")
    if found.size >= SIZE_LIMIT or not -TIME_LIMIT < found.mtime_ns < TIME_LIMIT:
        raise UsageError("a size or time out of range")
    if kind != DIRECTORY and found.is_unit:
        raise UsageError("the permissions of a file are nine bits")
    if kind == LINK and found.perm != LINK_PERM:
        raise UsageError("the permissions of a link are 0777")
    if kind == DIRECTORY and (found.size or found.mtime_ns):
        raise UsageError("size and time of a directory are 0")
    return found
