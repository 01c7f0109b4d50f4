"""The manual: finding a page inside the package, and showing it, with man or without."""

import os
import re
import sys

from replican import settings

INDENT = 7
"""Columns that the text of a section stands in from the left."""

_FONTS = (".B", ".I", ".BR", ".RB", ".IR", ".RI", ".BI", ".IB")


def find_page(name: str) -> str | None:
    """The file of the page about a command, or of another page: ``sync``, ``format``, ``replican-format``."""
    from importlib.util import find_spec

    spec = find_spec("replican.man")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    # a checkout that is not installed has the pages beside the package
    folders.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "man"))
    for stem in (f"replican-{name}", name):
        for folder in folders:
            for section in "157":
                path = os.path.join(folder, f"{stem}.{section}")
                if "/" not in stem and stem.startswith("replican") and os.path.isfile(path):
                    return path
    return None


def read(page: str) -> str:
    """The source of a page."""
    with open(page, encoding="utf-8") as file:
        return file.read()


def open_with_man(page: str) -> bool:
    """Show a page with man; False where there is none, or none that can."""
    import shutil
    import subprocess

    program = shutil.which("man")
    if program is None:
        return False
    # A system without its manuals has a `man` that only says so, and does not fail: it is asked first.
    can = subprocess.run([program, "-w", "-l", page], capture_output=True, check=False)
    if can.returncode != 0 or os.path.basename(page).encode() not in can.stdout:
        return False
    sys.stdout.flush()
    return subprocess.run([program, "-l", page], stderr=subprocess.DEVNULL, check=False).returncode == 0


def open_with_pager(text: str) -> bool:
    """Show text in the user's pager, or in one that is there; False where none could be started."""
    import shutil
    import subprocess

    for pager in (settings.pager(), "less", "more"):
        if pager and shutil.which(pager.split()[0]):
            subprocess.run(pager, shell=True, input=text.encode() + b"\n", check=False)
            return True
    return False


def render(source: str, width: int = 80) -> str:
    """A page in the ``man`` macros that ours use, as plain text."""
    import textwrap

    lines: list[str] = []
    words: list[str] = []  # of the paragraph that is being filled
    indent, hang, filled, tag, heading = 0, "", True, False, ""

    def flush() -> None:
        nonlocal hang
        if words:
            first, rest = hang or " " * indent, " " * indent
            lines.extend(textwrap.wrap(" ".join(words), width, initial_indent=first, subsequent_indent=rest))
            words.clear()
        elif hang.strip():
            lines.append(hang.rstrip())
        hang = ""

    def blank() -> None:
        if lines and lines[-1] not in ("", heading):
            lines.append("")

    for raw in source.splitlines():
        macro, rest = _macro(raw)
        if macro == "" or macro in _FONTS:
            text = _plain(_joined(macro, rest))
            if tag:
                start = " " * (indent - INDENT) + text
                hang = start.ljust(indent) if len(start) < indent else ""
                if not hang:
                    lines.append(start)
                tag = False
            elif filled:
                words.extend(text.split())
            else:
                lines.append((" " * indent + text).rstrip())
            continue
        if macro in (".SH", ".SS"):
            flush()
            blank()
            heading = ("" if macro == ".SH" else "   ") + _plain(" ".join(_arguments(rest)))
            lines.append(heading)
            indent = INDENT
        elif macro in (".PP", ".P", ".LP", ".TP", ".IP"):
            flush()
            blank()
            tag = macro == ".TP"
            indent = INDENT * (2 if macro in (".TP", ".IP") else 1)
            if macro == ".IP" and rest:
                hang = (" " * INDENT + _plain(_arguments(rest)[0])).ljust(indent)
        elif macro in (".nf", ".EX", ".RS"):
            flush()
            filled = filled and macro == ".RS"
            indent += INDENT if macro == ".RS" else 0
        elif macro in (".fi", ".EE", ".RE"):
            flush()
            filled = filled or macro != ".RE"
            indent -= INDENT if macro == ".RE" else 0
        elif macro == ".br":
            flush()
    flush()
    return "\n".join(lines).strip("\n")


def plain_line(line: str) -> str:
    """The text of one line of a page, without macro and fonts; "" for a macro that has none."""
    macro, rest = _macro(line)
    return _plain(_joined(macro, rest)) if macro == "" or macro in _FONTS else ""


def _macro(line: str) -> tuple[str, str]:
    # ("", the whole line) for text
    if line.startswith(('.\\"', "'\\\"")):
        return '.\\"', ""
    if not line.startswith("."):
        return "", line
    macro, _, rest = line.partition(" ")
    return macro, rest.strip()


def _arguments(rest: str) -> list[str]:
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|((?:\\ |\S)+)', rest)]


def _joined(macro: str, rest: str) -> str:
    # the macros of two letters alternate between two fonts, and put no space between
    return rest if macro == "" else ("" if len(macro) == 3 else " ").join(_arguments(rest))


_NAMED = {
    "aq": "'",
    "dq": '"',
    "bu": "*",
    "em": "--",
    "en": "-",
    "ti": "~",
    "ha": "^",
    "rs": "\\",
    "lq": '"',
    "rq": '"',
}
_LONE = {"-": "-", "e": "\\", " ": " ", "~": " ", "&": "", "|": "", "c": ""}


def _plain(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        named, lone = match.groups()
        return _NAMED.get(named, "?") if named else _LONE.get(lone, "") if lone else ""

    return re.sub(r"\\(?:f(?:\[\w*\]|\(\w\w|\w)|\((\w\w)|(.))", escape, text)
