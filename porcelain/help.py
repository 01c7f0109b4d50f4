"""Show the commands, or the manual of one.

Without a name, all commands are listed, in groups. With the name of a command, or of one of the other pages
(format, protocol, glossary, replican), its manual is opened: by man where there is one, else in a pager.

Output: text. With --json, a list of objects with "name", "kind", "group", "needs" and "summary".

Exit codes: 0 done; 1 no such page.

    replican help sync
    replican help format
"""

import sys
from typing import Annotated

from replican import commands
from replican.plumbing._front.context import Context
from replican.plumbing._front.params import GLOBALS, Argument
from replican.values.errors import NotFoundError


def overview() -> str:
    """All commands, in groups: the porcelain first."""
    options = " ".join([parameter.synopsis for parameter in GLOBALS if parameter.name != "global_jsonl"])
    half = options.rindex(" [--no-progress]")
    lines = [f"usage: replican {options[:half]}", f"               {options[half + 1 :]} <command> [<args>]"]
    group = ""
    for row in commands.COMMANDS:
        if row.group != group:
            group = row.group
            lines += ["", group]
        lines.append(f"   {row.name:<18}{row.summary}")
    lines += ["", "'replican <command> -h' tells briefly how one is used, 'replican help <command>' tells all."]
    return "\n".join(lines)


def command(
    ctx: Context,
    name: Annotated[str | None, Argument("COMMAND", help="whose manual to open", complete="command")] = None,
) -> int | None:
    if name is None:
        if ctx.json:
            ctx.emit_all(row._asdict() for row in commands.COMMANDS)
        else:
            ctx.line(overview())
        return None
    from replican.porcelain import _manual

    page = _manual.find_page(name)
    if page is None:
        from replican.porcelain._aliases import aliases

        meaning = aliases().get(name)
        if meaning is None:
            raise NotFoundError(f"no manual page for '{name}'", "'replican' lists the commands")
        ctx.line(f"'{name}' is an alias of '{meaning}'")
        return None
    if not _manual.open_with_man(page):
        text = _manual.render(_manual.read(page))
        if not (sys.stdout.isatty() and _manual.open_with_pager(text)):
            ctx.line(text)
    return None
