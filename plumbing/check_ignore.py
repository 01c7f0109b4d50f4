"""Tell which paths are ignored.

PATHs are relative to the root of the folder, and need not be there; one that ends in a slash means a directory. Rules
stand in files called .replicanignore, in any directory, and mean what gitignore files mean. What is tracked is never
ignored; with --no-index, the rules are asked all the same.

Output: those of the paths that are ignored, one a line, quoted where that is needed; with -z each ends in NUL and
none is quoted. With -v, "<file>:<number of the line>:<the line>", a tab, and the path; with -z these four each end in
NUL. With --json, a list of objects with "path", "source", "line" and "pattern".

Exit codes: 0 one of them is ignored; 1 none is; 2 not a path below the folder.

    replican check-ignore -v build/main.o
    find . -type f -print0 | replican check-ignore --stdin -z
"""

import os
from collections.abc import Iterator
from typing import Annotated

from replican.plumbing._front.context import Context, is_ours, plumbing_path
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError


def command(
    ctx: Context,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="what to ask about", complete="path")] = (),
    stdin: Annotated[bool, Option("--stdin", help="read paths from stdin, too")] = False,
    nul: Annotated[bool, Option("-z", help="paths end in NUL, on stdin too, and are not quoted")] = False,
    verbose: Annotated[bool, Option("-v", "--verbose", help="print the line that decides, too")] = False,
    no_index: Annotated[bool, Option("--no-index", help="ask about tracked paths, too")] = False,
) -> int | None:
    if not (paths or stdin):
        raise UsageError("no PATH", "name one, or give --stdin")
    from replican.operations.ignoring import Ignoring, Verdict

    found_any = False

    def names() -> Iterator[bytes]:
        yield from map(os.fsencode, paths)
        if stdin:
            yield from (name for name in ctx.stdin_names(nul=nul) if not is_ours(name))

    def found() -> Iterator[tuple[bytes, Verdict]]:
        nonlocal found_any
        with Ignoring(ctx.repository(), ask_tracked=no_index) as rules:
            for name in names():
                path = plumbing_path(name)
                verdict = rules.verdict(path, name.endswith(b"/"))
                if verdict is not None:
                    found_any = True
                    yield path, verdict

    if ctx.json:
        ctx.emit_all(_as_json(path, verdict) for path, verdict in found())
    else:
        for path, verdict in found():
            source, number, line = verdict
            if verbose and nul:
                ctx.out(b"%s\0%d\0%s\0%s\0" % (source, number, line, path))
            elif verbose:
                shown = line.decode("utf-8", "surrogateescape")
                ctx.line(f"{quoted(source)}:{number}:{shown}\t{quoted(path)}")
            else:
                ctx.path_line(path, nul=nul)
            if stdin:
                ctx.flush()
    return None if found_any else DIFFERENT


def _as_json(path: bytes, verdict: "tuple[bytes, int, bytes]") -> dict[str, object]:
    source, number, line = verdict
    return {**json_path(path), **json_path(source, "source"), "line": number, **json_path(line, "pattern")}
