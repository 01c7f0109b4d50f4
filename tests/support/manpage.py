"""What a man page lacks against the table of commands and the parser; and a draft of one, to begin with.

python tests/support/manpage.py              what all pages lack
python tests/support/manpage.py NAME...      what these lack
python tests/support/manpage.py --draft NAME a draft, to stdout
"""

import re
import sys
from pathlib import Path

from replican import commands
from replican.plumbing._front.params import GLOBALS, Parameter
from replican.porcelain import _manual
from replican.porcelain._shells import Syntax, syntax_of

FOLDER = Path(__file__).resolve().parents[2] / "man"
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "OUTPUT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
"""The sections of a page, in this order; OPTIONS where there are any, the others always. More may stand between."""


def lacks(row: commands.CommandRow) -> list[str]:
    """What is wrong with the page of a command, a line each."""
    page = FOLDER / f"replican-{row.name}.1"
    if not page.exists():
        return [f"{page.name} is missing"]
    sections = _sections(page.read_text(encoding="utf-8"))
    syntax = syntax_of(row)
    options = {tag(option) for one in syntax for option in one.options}
    wrong = _wrong_sections(sections, bool(options))
    name = _text(sections.get("NAME", []))
    if name != f"replican-{row.name} - {row.summary}":
        wrong.append(f"NAME says {name!r}, the table {row.summary!r}")
    tags = _tags(sections.get("OPTIONS", []))
    wrong += [f"OPTIONS lacks '{missing}'" for missing in sorted(options - tags)]
    # besides options, arguments and names may be explained there
    wrong += [f"OPTIONS has '{extra}', the parser not" for extra in sorted(tags - options) if extra.startswith("-")]
    wrong += _wrong_synopsis(_text(sections.get("SYNOPSIS", [])), syntax)
    return [f"{page.name}: {line}" for line in wrong]


def overview_lacks() -> list[str]:
    """What is wrong with the page about the whole, a line each."""
    sections = _sections((FOLDER / "replican.1").read_text(encoding="utf-8"))
    named = set(re.findall(r"[\w-]+", _text(sections.get("COMMANDS", []))))
    wrong = [f"COMMANDS lacks {row.name}" for row in commands.COMMANDS if row.name not in named]
    tags = _tags(sections.get("OPTIONS", []))
    known = {tag(option) for option in GLOBALS} | {"-h, --help"}
    return wrong + [f"OPTIONS: {one}" for one in sorted(tags ^ known)]


def tag(option: Parameter) -> str:
    """An option as it heads its paragraph in OPTIONS: ``-m, --message MSG``."""
    return ", ".join(option.names) + ("" if option.is_flag else f" {option.metavar}")


def draft(row: commands.CommandRow) -> str:
    """A page that agrees with the parser, to be filled with sense."""
    lines = [f'.TH REPLICAN-{row.name.upper()} 1 "" replican "replican manual"', ".SH NAME"]
    lines += [_escape(f"replican-{row.name} ") + "\\- " + _escape(row.summary), ".SH SYNOPSIS"]
    syntax = syntax_of(row)
    for number, one in enumerate(syntax):
        lines += [".br"] * bool(number) + [f".B replican {_escape(one.name)}"]
        lines += [_synopsis(parameter) for parameter in one.options + one.arguments]
    lines += [".SH DESCRIPTION", f"{row.summary[0].upper()}{row.summary[1:]}."]
    options = {tag(option): option for one in syntax for option in one.options}
    lines += [".SH OPTIONS"] * bool(options)
    for option in options.values():
        names = ' ", " '.join([_escape(name) for name in option.names])
        value = "" if option.is_flag else f' " " \\fI{_escape(option.metavar)}\\fR'
        lines += [".TP", f".BR {names}{value}", f"{option.help[0].upper()}{option.help[1:]}."]
    lines += [".SH OUTPUT", "None.", ".SH EXIT STATUS", "0 when done; see", ".BR replican (1)", "for the others."]
    lines += [".SH EXAMPLES", ".EX", f"replican {_escape(one.name)}", ".EE", ".SH SEE ALSO", ".BR replican (1)"]
    return "\n".join(lines) + "\n"


def _wrong_sections(sections: dict[str, list[str]], has_options: bool) -> list[str]:
    wanted = [name for name in SECTIONS if has_options or name != "OPTIONS"]
    wrong = [f"section {name} is missing" for name in wanted if name not in sections]
    there = [name for name in sections if name in wanted]
    if not wrong and there != wanted:
        wrong.append(f"sections should stand in this order: {', '.join(wanted)}")
    return wrong


def _wrong_synopsis(text: str, syntax: list[Syntax]) -> list[str]:
    used = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", text))
    known = {name for one in syntax for option in one.options for name in option.names}
    wrong = [f"SYNOPSIS has '{name}', the parser not" for name in sorted(used - known)]
    for one in syntax:
        # a command that only stands for its subcommands takes nothing by itself
        if not one.subcommands and f"replican {one.name}" not in text:
            wrong.append(f"SYNOPSIS lacks 'replican {one.name}'")
        wrong += [f"SYNOPSIS lacks {tag(option)}" for option in one.options if not used & set(option.names)]
        wrong += [f"SYNOPSIS lacks {argument.metavar}" for argument in one.arguments if argument.metavar not in text]
    return wrong


def _sections(source: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in source.splitlines():
        if line.startswith(".SH"):
            lines = found.setdefault(line[3:].strip().strip('"'), [])
        else:
            lines.append(line)
    return found


def _text(lines: list[str]) -> str:
    plain = [_manual.plain_line(line) for line in lines]
    return " ".join([line for line in plain if line])


def _tags(lines: list[str]) -> set[str]:
    return {
        _manual.plain_line(lines[at + 1]) for at, line in enumerate(lines[:-1]) if line.split(" ")[0] in (".TP", ".TQ")
    }


def _synopsis(parameter: Parameter) -> str:
    text = _escape(parameter.synopsis)
    for name in parameter.names:
        text = text.replace(_escape(name), f"\\fB{_escape(name)}\\fR")
    if parameter.metavar:
        text = text.replace(_escape(parameter.metavar), f"\\fI{_escape(parameter.metavar)}\\fR")
    return text


def _escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def main(words: list[str]) -> int:
    if words[:1] == ["--draft"]:
        print("".join([draft(row) for row in commands.COMMANDS if row.name in words]), end="")
        return 0
    wrong = [line for row in commands.COMMANDS if not words or row.name in words for line in lacks(row)]
    print("\n".join(wrong or ["all is there"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
