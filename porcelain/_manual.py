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
    page = _Page(width)
    for line in source.splitlines():
        macro, rest = _macro(line)
        if macro == "" or macro in _FONTS:
            page.take(_plain(_joined(macro, rest)))
        else:
            page.obey(macro, rest)
    page.end_paragraph()
    return "\n".join(page.lines).strip("\n")


class _Page:
    """The ``lines`` of a page so far, and how what comes next is to be laid out."""

    def __init__(self, width: int) -> None:
        self.lines: list[str] = []
        self._width = width
        self._words: list[str] = []
        """Those of the paragraph that is being filled."""
        self._indent = 0
        self._hang = ""
        """What the next line begins with, in the place of its indent: a tag."""
        self._is_tag = False
        """Whether the next line is a tag."""
        self._is_filled = True
        self._heading = ""

    def take(self, text: str) -> None:
        """A line of text."""
        if self._is_tag:
            start = " " * (self._indent - INDENT) + text
            self._hang = start.ljust(self._indent) if len(start) < self._indent else ""
            if not self._hang:
                self.lines.append(start)
            self._is_tag = False
        elif self._is_filled:
            self._words.extend(text.split())
        else:
            self.lines.append((" " * self._indent + text).rstrip())

    def obey(self, macro: str, rest: str) -> None:
        """A macro that lays out. One that our pages do not use is passed over."""
        if macro in (".SH", ".SS"):
            self._end_block()
            self._heading = ("" if macro == ".SH" else "   ") + _plain(" ".join(_arguments(rest)))
            self.lines.append(self._heading)
            self._indent = INDENT
        elif macro in (".PP", ".P", ".LP", ".TP", ".IP"):
            self._end_block()
            self._is_tag = macro == ".TP"
            self._indent = INDENT * (2 if macro in (".TP", ".IP") else 1)
            if macro == ".IP" and rest:
                self._hang = (" " * INDENT + _plain(_arguments(rest)[0])).ljust(self._indent)
        elif macro in (".nf", ".EX", ".RS"):
            self.end_paragraph()
            self._is_filled = self._is_filled and macro == ".RS"
            self._indent += INDENT if macro == ".RS" else 0
        elif macro in (".fi", ".EE", ".RE"):
            self.end_paragraph()
            self._is_filled = self._is_filled or macro != ".RE"
            self._indent -= INDENT if macro == ".RE" else 0
        elif macro == ".br":
            self.end_paragraph()

    def end_paragraph(self) -> None:
        import textwrap

        if self._words:
            rest = " " * self._indent
            filled = textwrap.wrap(
                " ".join(self._words), self._width, initial_indent=self._hang or rest, subsequent_indent=rest
            )
            self.lines.extend(filled)
            self._words.clear()
        elif self._hang.strip():
            self.lines.append(self._hang.rstrip())
        self._hang = ""

    def _end_block(self) -> None:
        """End the paragraph, and leave a line free, unless a heading is right above."""
        self.end_paragraph()
        if self.lines and self.lines[-1] not in ("", self._heading):
            self.lines.append("")


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
