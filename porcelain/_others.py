"""What is not in the table of commands: aliases, programs on PATH, and what was mistyped."""

import os
from typing import Any

from replican import commands
from replican.plumbing._front.context import change_directory
from replican.plumbing._front.params import GLOBALS
from replican.values.errors import UsageError

ALIAS_DEPTH = 10


def run(name: str, words: list[str], given: dict[str, Any]) -> int:
    """Run ``name`` as a program ``replican-NAME``, or as an alias, in git's order; else raise ``UsageError``."""
    for where in given.pop("global_C", ()):
        change_directory(where)
    program = find_program(f"replican-{name}")
    if program is not None:
        os.execv(program, [program, *as_words(given), *words])
    return _run_alias(name, words, given, ())


def find_program(name: str) -> str | None:
    """The program that PATH has under that name."""
    if "/" in name:
        return None
    from replican.settings import program_directories

    for directory in program_directories():
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def as_words(given: dict[str, Any]) -> list[str]:
    """Global options as they would be typed."""
    words: list[str] = []
    for parameter in GLOBALS:
        value = given.get(parameter.name, parameter.default)
        if value != parameter.default:
            words += [parameter.names[-1]] if parameter.is_flag else [parameter.names[-1], str(value)]
    return words


def _run_alias(name: str, words: list[str], given: dict[str, Any], seen: tuple[str, ...]) -> int:
    from replican.porcelain import _main
    from replican.porcelain._aliases import aliases, split

    known = aliases()
    if name not in known:
        raise _unknown(name, known)
    if name in seen or len(seen) >= ALIAS_DEPTH:
        raise UsageError(f"alias '{(*seen, name)[0]}' leads back to itself", " -> ".join((*seen, name)))
    meaning = known[name]
    if meaning.startswith("!"):
        return _run_shell(meaning[1:], words)
    expanded = [*split(name, meaning), *words]
    if expanded and not expanded[0].startswith("-") and commands.find(expanded[0]) is None and expanded[0] in known:
        return _run_alias(expanded[0], expanded[1:], given, (*seen, name))
    return _main.run([*as_words(given), *expanded])


def _run_shell(script: str, words: list[str]) -> int:
    """Run ``!script`` as git does: in the root of the folder, the words being its arguments."""
    import subprocess

    from replican.porcelain._aliases import root_here

    root = root_here()
    prefix = os.path.relpath(os.getcwd(), root) + "/" if root else ""
    prefix = "" if prefix == "./" else prefix
    told = "REPLICAN_PREFIX=$1; export REPLICAN_PREFIX; shift; "
    whole = told + (f'{script} "$@"' if words else script)
    done = subprocess.run(["/bin/sh", "-c", whole, script, prefix, *words], cwd=root, check=False)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _unknown(name: str, known: dict[str, str]) -> UsageError:
    if name in commands.GIT_HABITS:
        return UsageError(f"there is no '{name}' here", commands.GIT_HABITS[name])
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), [row.name for row in commands.COMMANDS] + list(known), n=3, cutoff=0.6)
    near += [row.name for row in commands.COMMANDS if row.name.startswith(name) and row.name not in near][
        : 3 - len(near)
    ]
    hint = f"did you mean {' or '.join([repr(other) for other in near])}?" if near else "'replican' lists the commands"
    return UsageError(f"'{name}' is not a replican command", hint)
