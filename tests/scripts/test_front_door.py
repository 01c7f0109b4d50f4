"""The command line from outside: global options, mistakes, programs and aliases of the user's."""

import json
import os
import sys
from pathlib import Path

import pytest

from replican import commands
from replican.values.ids import blob_id

CONFIG = """\
[alias]
ho = "hash-object --json"
again = "ho"
ring = "gnir"
gnir = "ring"
empty = ""
open = "version 'x"
shout = "!printf '%s;' HEY"
away = "!exit 3"
version = "hash-object"
"""


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def aliases(environment: dict[str, str]) -> None:
    folder = Path(environment["HOME"], ".config/replican")
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG)


def test_global_options_stand_before_the_command_or_after(cli, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/f").write_bytes(b"x")
    expected = [{"path": "f", "id": blob_id(b"x").hex()}]
    for words in (
        ["-C", "a/b", "--json", "hash-object", "f"],
        ["hash-object", "f", "-C", "a/b", "--json"],
        ["-C", "a", "hash-object", "-C", "b", "f", "--json"],
        ["-Ca", "--json", "-q", "hash-object", "-Cb", "--wait", "1", "--", "f"],
    ):
        assert cli(*words).json() == expected


def test_a_folder_that_is_not_there(cli) -> None:
    assert cli("-C", "none", "version", code=8).err == "replican: no such folder: 'none'\n"


@pytest.mark.parametrize("words", ["log", "init", "init below", "serve --stdio", "clone below"])
def test_a_folder_that_has_gone(cli, tmp_path: Path, words: str) -> None:
    script(tmp_path / "bin/replican-gone", f"mkdir gone && cd gone && rmdir ../gone && exec replican {words}")
    path = f"{tmp_path}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert cli("gone", env={"PATH": path}, code=8).err.startswith("replican: the current folder is gone\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("stauts", "status"), ("hashobject", "hash-object"), ("SYNC", "sync"), ("comit", "commit"), ("conf", "conflicts")],
)
def test_a_mistyped_command_suggests_the_near_one(cli, typed: str, meant: str) -> None:
    first, second = cli(typed, code=2).err.splitlines()
    assert first == f"replican: '{typed}' is not a replican command"
    assert second.startswith("hint: did you mean ")
    assert f"'{meant}'" in second


@pytest.mark.parametrize("habit", ["add", "checkout", "reset", "stash", "branch"])
def test_habits_from_git_get_a_hint(cli, habit: str) -> None:
    told = cli(habit, "x", code=2).err
    assert told == f"replican: there is no '{habit}' here\nhint: {commands.GIT_HABITS[habit]}\n"


def test_no_habit_hides_a_command() -> None:
    assert not set(commands.GIT_HABITS) & {row.name for row in commands.COMMANDS}


def test_wrong_options_before_the_command(cli) -> None:
    assert cli("--nonsense", "log", code=2).err.startswith("replican: unknown option: --nonsense\n")
    assert cli("--wait", code=2).err.startswith("replican: option --wait needs a value\n")
    assert cli("nonsense;\x1b[31m", code=2).err.startswith("replican: 'nonsense;\\033[31m' is not")


def test_errors_in_json(cli) -> None:
    for words in (["--json", "hash-object", "none"], ["hash-object", "none", "--json"]):
        told = json.loads(cli(*words, code=1).err.splitlines()[-1])
        assert told == {"error": {"code": "not-found", "message": "no such file: none", "hint": None}}
    told = json.loads(cli("hash-object", "--bad", "--json", code=2).err.splitlines()[-1])
    assert told["error"]["code"] == "usage"


def test_help_of_a_command_that_is_asked_for_before_its_name(cli) -> None:
    assert cli("-h", "hash-object").text == cli("hash-object", "-h").text


def test_a_program_on_path_is_a_command(cli, tmp_path: Path) -> None:
    script(tmp_path / "bin/replican-foo", 'printf "%s|" "$PWD" "$@"; exit 5')
    (tmp_path / "sub").mkdir()
    path = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    result = cli("-C", "sub", "--json", "foo", "a b", "-x", env=path, code=5)
    assert result.text == f"{tmp_path}/sub|--json|a b|-x|"


def test_no_program_is_run_from_elsewhere(cli, tmp_path: Path) -> None:
    script(tmp_path / "replican-foo", "echo no")
    for path in (".", "", f"{tmp_path}/none:"):
        assert cli("foo", env={"PATH": path}, code=2).out == b""
    assert cli("../replican-foo", code=2).out == b""


@pytest.mark.usefixtures("aliases")
def test_aliases(cli, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    expected = [{"path": "f", "id": blob_id(b"x").hex()}]
    assert cli("ho", "f").json() == expected
    assert cli("again", "f").json() == expected
    assert cli("--json", "help", "ho").code == 0
    assert cli("help", "ho").text == "'ho' is an alias of 'hash-object --json'\n"
    assert cli("version").text.startswith("replican ")
    assert cli("shout", "a b", "c").text == "HEY;a b;c;"
    assert cli("away", code=3).err == ""


@pytest.mark.usefixtures("aliases")
@pytest.mark.parametrize(
    ("name", "message"),
    [("ring", "alias 'ring' leads back to itself"), ("empty", "alias 'empty' is empty"), ("open", "has an open quote")],
)
def test_aliases_that_lead_nowhere(cli, name: str, message: str) -> None:
    assert message in cli(name, code=2).err


@pytest.mark.parametrize("row", commands.COMMANDS, ids=lambda row: row.name)
def test_every_command_teaches_how_it_is_used(cli, row: commands.CommandRow) -> None:
    told = cli(row.name, "-h").text
    assert told.startswith(f"Usage: replican {row.name}")
    assert "Exit codes:" in told


@pytest.mark.parametrize(
    "row", [row for row in commands.COMMANDS if row.needs != commands.NOTHING], ids=lambda row: row.name
)
def test_outside_of_a_replica_a_command_that_needs_one_says_so(cli, row: commands.CommandRow) -> None:
    # wrong usage may be found first
    result = cli(row.name, code=None)
    assert result.code in (2, 8)
    assert result.err.startswith("replican: ")
    assert result.out == b""
