"""Tell all that is known about a path.

What was last recorded of it: by which checkpoint, by whom and when; what lies on the disk now; why there is a
conflict copy, and who wrote each version; what holds it back (it could not be read or written, its content is
nowhere, it is ignored, a special file, part of another replica); and which stores have its content.

Output: text. With --json, an object with "path", "recorded" and "disk" (each null, or "kind", "id", "mode", "size"
and "mtime_ns"), "last" (the checkpoint that last changed it, as "replican log --json" has it) and "what" it did,
"versions" (each "path", "id" and "checkpoint"), "ignored", "holding" (each "path", "cause") and "places" (stores with
its content).

Exit codes: 0 done; 1 nothing is known of that path.

    replican why letters/may.txt
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing import cat_log
from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument
from replican.porcelain import _past as past
from replican.porcelain import _report as report
from replican.values.errors import NotFoundError
from replican.values.trees import DIRECTORY

if TYPE_CHECKING:
    from replican.operations.explaining import Explained, Version
    from replican.operations.history import LogEntry


def command(
    ctx: Context,
    path: Annotated[str, Argument("PATH", help="what to tell about", complete="path")],
) -> int | None:
    from replican.operations.explaining import explain

    found = explain(ctx.repository(), ctx.path(path))
    if not found.is_known:
        raise NotFoundError(f"nothing is known of {quoted(found.path)}", "it is neither on the disk nor on the log")
    if ctx.json:
        ctx.emit(json_explained(found))
        return None
    for line in told(found):
        ctx.line(line)
    return None


def told(found: "Explained") -> list[str]:
    """What is known, in sentences."""
    lines = [quoted(found.path or b".")]
    if found.last is not None:
        lines.append(f"  last {found.what} by {by_whom(found.last)}")
    elif found.recorded is None:
        lines.append("  never recorded")
    lines += disk_lines(found)
    if found.versions:
        lines.append(f"  has {len(found.versions)} versions, written by those who did not know of each other's:")
        for version in found.versions:
            lines.append(f"    {quoted(version.path)} {written(version)}")
        lines.append("    `replican resolve` settles it")
    lines += [f"  held back: {each.cause}" + _where(found, each.path) for each in found.holding]
    if found.recorded is not None and found.recorded.kind != DIRECTORY:
        lines.append(f"  content: {', '.join(found.places) or 'in no store that can be reached'}")
    return lines


def written(version: "Version") -> str:
    """By whom a version was written, in words."""
    if version.entry.kind == DIRECTORY:
        return "is a directory, and keeps the name"
    return "not recorded yet" if version.writer is None else f"by {by_whom(version.writer)}"


def disk_lines(found: "Explained") -> list[str]:
    """How the disk stands to what is recorded."""
    if found.ignored:
        return [f"  a {found.lies_there} that is ignored (.replicanignore), and not recorded"]
    if not found.lies_there:
        return ["  not on the disk" + (", though it is recorded" if found.recorded else "")]
    if found.is_put_off:
        return [f"  a {found.lies_there} on the disk that is not read yet"]
    if found.disk is None:
        return [f"  a {found.lies_there} on the disk that is not recorded"]
    if found.recorded is None:
        return [f"  a {found.lies_there} on the disk, not recorded yet"]
    if found.recorded == found.disk:
        return [f"  a {found.lies_there} on the disk, as it is recorded"]
    same = (found.recorded.kind, found.recorded.id) == (found.disk.kind, found.disk.id)
    return [
        f"  a {found.lies_there} on the disk with {'other attributes' if same else 'another content'} than is recorded"
    ]


def by_whom(entry: "LogEntry") -> str:
    author = entry.checkpoint.author
    who = "a merge" if author is None else f"{author.name} ({author.peer})"
    return f"{who}, {past.when(entry.time_ns)}, checkpoint {entry.id.hex()[:12]}: {past.subject(entry)}"


def _where(found: "Explained", path: bytes) -> str:
    return "" if path == found.path else f" ({quoted(path) if path else 'the folder itself'})"


def json_explained(found: "Explained") -> dict[str, object]:
    return {
        **json_path(found.path),
        "recorded": None if found.recorded is None else past.json_entry(found.recorded),
        "disk": None if found.disk is None else past.json_entry(found.disk),
        "last": None if found.last is None else cat_log.as_json(found.last),
        "what": found.what,
        "versions": [
            {
                **json_path(version.path),
                "id": version.entry.id.hex(),
                "checkpoint": None if version.writer is None else version.writer.id.hex(),
            }
            for version in found.versions
        ],
        "ignored": found.ignored,
        "holding": report.json_problems(found.holding),
        "places": found.places,
    }
