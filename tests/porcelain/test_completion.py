import importlib
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from replican import commands
from replican.plumbing._front.params import GLOBALS
from replican.porcelain import _shells

SHELLS = ["bash", "zsh", "fish"]


@pytest.fixture(scope="module")
def found() -> list[_shells.Syntax]:
    """The syntax of the commands that are there."""
    syntax = []
    for row in commands.COMMANDS:
        importlib.import_module(row.module)
        syntax += _shells.syntax_of(row)
    return syntax


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_command_and_option(shell: str, found: list[_shells.Syntax], cli) -> None:
    text = getattr(_shells, shell)(found)
    assert cli("completion", shell).text == text
    for one in found:
        lines = [line for line in text.splitlines() if f"'{one.name}')" in line or f"__replican_is {one.name}'" in line]
        for option in one.options:
            for name in option.names:
                bare = name if shell != "fish" else f"-l {name[2:]} " if name.startswith("--") else f"-s {name[1:]} "
                assert any(bare in f"{line} " for line in lines), f"{shell}: {one.name} {name}"
    for row in commands.COMMANDS:
        assert f" {row.name} " in text.replace("'", " ").replace("\n", " ")
    for option in GLOBALS:
        assert all(name in text or f"-l {name[2:]}" in text or f"-s {name[1:]}" in text for name in option.names)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_can_read_its_script(shell: str, found: list[_shells.Syntax], tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    path = tmp_path / "script"
    path.write_text(getattr(_shells, shell)(found))
    done = subprocess.run([program, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


STUB = """\
replican() {
    case $1 in
        show-ref) printf '%s %s\\n' 12ab head 34cd remotes/origin/head ;;
        remote) printf '%s\\t%s\\n' origin /mnt/disk usb '/media/my stick' ;;
        ls-files) printf '%s\\0' 'my letter.txt' notes/list.txt ;;
    esac
}
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ver"], ["version"]),
        (["hash-object", "--stdin-"], ["--stdin-paths"]),
        (["completion", "z"], ["zsh"]),
        (["completion", "zsh", ""], []),
        (["help", "hash"], ["hash-object"]),
        (["-C", "su"], ["sub"]),
        (["-C", "sub", "--json", "hel"], ["help"]),
        (["hash-object", "--wait", "5", "my"], ["my file"]),
        (["hash-object", "my file", "my"], ["my file"]),
        (["--no-p"], ["--no-progress"]),
    ],
)
def test_bash_completes(typed: list[str], offered: list[str], found: list[_shells.Syntax], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "my file").touch()
    assert ask_bash(_shells.bash(found), typed, tmp_path) == offered


def ask_bash(script: str, typed: list[str], where: Path) -> list[str]:
    words = " ".join([f"'{word}'" for word in ["replican", *typed]])
    asked = f"{script}\n{STUB}\nCOMP_WORDS=({words}); COMP_CWORD={len(typed)}; _replican\n"
    asked += '(( ${#COMPREPLY[@]} )) && printf "%s\\n" "${COMPREPLY[@]}"; true'
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, cwd=where, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


ZSH = """\
PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -D -u; source script
show() { print -r -- "<$BUFFER>"; BUFFER= }
zle -N show; bindkey '^P' show; print ready
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ("ver", "version "),
        ("-C su", "-C sub/"),
        ("clone su", "clone sub/"),
        ("hash-object my", "hash-object my\\ file "),
        ("hash-object --stdin-", "hash-object --stdin-paths "),
    ],
)
def test_zsh_completes(typed: str, made: str, found: list[_shells.Syntax], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "my file").touch()
    (tmp_path / "script").write_text(_shells.zsh(found))
    own, other = os.openpty()
    with subprocess.Popen(["zsh", "-f", "-i"], cwd=tmp_path, stdin=other, stdout=other, stderr=other) as shell:
        os.close(other)
        try:
            os.write(own, ZSH.encode())
            read_until(own, "\nready\r")
            os.write(own, f"replican {typed}\t\x10".encode())
            shown = read_until(own, ">\r")
        finally:
            shell.kill()
            os.close(own)
    assert f"<replican {made}>" in shown
    assert "bad pattern" not in shown
    assert "no matches" not in shown


def read_until(terminal: int, what: str) -> str:
    """What a terminal shows until this is there."""
    shown, end = "", time.monotonic() + 30
    while what not in shown:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], f"no {what!r} in {shown!r}"
        shown += os.read(terminal, 1 << 16).decode("utf-8", "replace")
    return shown


def test_bash_completes_values_through_the_plumbing(tmp_path: Path) -> None:
    syntax = _shells.Syntax("it", "", [argument("REF", "ref"), argument("PATH", "path", True)], [])
    group = _shells.Syntax("group", "", [], ["add", "list"])
    below = _shells.Syntax("group add", "", [argument("R", "remote"), option("--to", "directory")], [])
    script = _shells.bash([syntax, group, below])
    (tmp_path / "sub").mkdir()
    assert ask_bash(script, ["it", ""], tmp_path) == ["HEAD", "head", "remotes/origin/head"]
    assert ask_bash(script, ["it", "HEAD", "my"], tmp_path) == ["my letter.txt"]
    assert ask_bash(script, ["it", "HEAD", "x", ""], tmp_path) == ["my letter.txt", "notes/list.txt"]
    assert ask_bash(script, ["it", "--", ""], tmp_path) == ["HEAD", "head", "remotes/origin/head"]
    assert ask_bash(script, ["group", ""], tmp_path) == ["add", "list"]
    assert ask_bash(script, ["group", "add", "o"], tmp_path) == ["origin"]
    assert ask_bash(script, ["group", "add", "--t"], tmp_path) == ["--to"]
    assert ask_bash(script, ["group", "add", "--to", "s"], tmp_path) == ["sub"]


def argument(metavar: str, complete: str, multiple: bool = False) -> _shells.Parameter:
    return _shells.Parameter("x", (), str, multiple, True, None, metavar, "", (), complete)


def option(name: str, complete: str) -> _shells.Parameter:
    return _shells.Parameter("y", (name,), str, False, False, None, "X", "", (), complete)


def test_an_unknown_shell(cli) -> None:
    assert cli("completion", "ksh", code=2).err.startswith("replican: invalid value for 'SHELL': 'ksh'")
