import shutil
from pathlib import Path

import pytest

from replican import commands
from replican.porcelain import _manual

HOUSE = Path(__file__).resolve().parents[2]


def test_replican_alone_lists_the_commands_porcelain_first(cli) -> None:
    told = cli().text
    assert told == cli("help").text == cli("-h").text
    for row in commands.COMMANDS:
        assert f"   {row.name:<18}{row.summary}\n" in told
    assert told.index("\nstart to keep") < told.index("\nplumbing: objects\n")


def test_the_list_in_json(cli) -> None:
    told = cli("help", "--json").json()
    assert [one["name"] for one in told] == [row.name for row in commands.COMMANDS]


@pytest.mark.parametrize("name", ["hash-object", "replican", "replican-help"])
@pytest.mark.parametrize("with_man", [True, False])
def test_a_page_is_shown_with_man_or_without(cli, name: str, with_man: bool, tmp_path: Path) -> None:
    if with_man and shutil.which("man") is None:
        pytest.skip("no man here")
    env = {} if with_man else {"PATH": str(tmp_path)}
    told = cli("help", name, env=env).text
    assert "NAME\n       replican" in told
    assert "SYNOPSIS\n" in told


def test_no_such_page(cli) -> None:
    assert cli("help", "nonsense", code=1).err.startswith("replican: no manual page for 'nonsense'\n")
    assert cli("help", "../man/replican", code=1).out == b""


@pytest.mark.parametrize("page", sorted(HOUSE.glob("man/*")), ids=lambda page: page.name)
def test_every_page_is_rendered_whole(page: Path) -> None:
    text = _manual.render(page.read_text(encoding="utf-8"))
    assert max(map(len, text.splitlines())) <= 100
    assert "\\f" not in text
    assert not [line for line in text.splitlines() if line.startswith(".")]


def test_the_renderer() -> None:
    source = """\
.\\" comment
.TH X 1
.SH NAME
x \\- a thing
.SH OPTIONS
.TP
.BR \\-a ", " \\-\\-all " " \\fIN\\fR
All of them,
.B really
all.
.TP
.B \\-b
Short.
.SH EXAMPLES
.EX
one  \\(aqtwo\\(aq
  \\e three
.EE
.PP
End.
"""
    assert _manual.render(source) == (
        "NAME\n       x - a thing\n\nOPTIONS\n       -a, --all N\n              All of them, really all.\n\n"
        "       -b     Short.\n\nEXAMPLES\n       one  'two'\n         \\ three\n\n       End."
    )
