"""The entry of the command line: finds out which command is meant, and imports that one only."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from replican import commands
from replican.plumbing._front import exits, output, quick
from replican.plumbing._front.context import Context, change_directory
from replican.plumbing._front.params import GLOBALS, Command, Parameter, parameters
from replican.porcelain import _entry
from replican.values.errors import UsageError

ASKS_FOR_HELP: Final = Parameter("global_help", ("-h", "--help"), bool, False, False, False, "", "", (), "")


def main() -> NoReturn:
    """Run ``replican`` with the arguments of the process, and end it.

    It ends at once, leaving it to the system to tidy up memory: everything is closed and flushed by then.
    """
    code = exits.INTERRUPTED
    # What a command makes it keeps, mostly, and in no cycles: with the usual thresholds the collector looks through all
    # of it over and over, for up to a fifth of the time that a large merge takes.
    gc.set_threshold(100_000, 20, 100)
    try:
        code = run_guarded(sys.argv[1:])
    finally:
        os._exit(code)


def run_guarded(words: list[str]) -> int:
    """Run a whole command line, and tell how it ended; the exit code."""
    options = words[: words.index("--")] if "--" in words else words
    return exits.guard(lambda: run(words), json="--json" in options or "--jsonl" in options)


def run(words: Sequence[str]) -> int:
    """Run a whole command line, without the ``replican`` before it."""
    try:
        given, rest = quick.split_options((*GLOBALS, ASKS_FOR_HELP), words, everywhere=False)
    except quick.NotPlain as problem:
        raise UsageError(str(problem), "'replican help' lists the options and the commands") from None
    asks_for_help = given.pop(ASKS_FOR_HELP.name, False)
    if given.pop("global_version", False):
        rest = ["version"]
    elif not rest:
        rest = ["help"]
    elif asks_for_help:
        rest = [rest[0], "--help"]
    row = commands.find(rest[0])
    _entry.settle("" if row is None else row.name)
    if row is not None:
        return run_command(row, rest[1:], given)
    from replican.porcelain import _others

    return _others.run(rest[0], rest[1:], given)


def run_command(row: commands.CommandRow, words: list[str], given: dict[str, Any]) -> int:
    """Run a command of the table. ``given`` are global options from before its name."""
    title, function, words = choose(row, words, given)
    taken = parameters(function)
    values = quick.parse((*taken, *GLOBALS), words)
    if values is None:
        from replican.plumbing._front import app

        values = app.parse(title, function, help_text(function), words)
        if values is None:
            return 0
    options = _options_of_all(given, values)
    if options.pop("global_version"):
        return run(["--json", "version"] if options["global_json"] else ["version"])
    for where in options["global_C"]:
        change_directory(where)
    ctx = Context(
        json=options["global_json"],
        jsonl=options["global_jsonl"],
        quiet=options["global_quiet"],
        progress=not options["global_no_progress"],
        wait=options["global_wait"],
        after_dashes=len(words) - 1 - words.index("--") if "--" in words else 0,
    )
    try:
        if row.needs != commands.NOTHING:
            _ = ctx.root  # it says so where there is none; what lies there is opened by who needs it
        code = function(ctx, **values) or exits.DONE
        output.flush()
        return code
    finally:
        ctx.close()


def choose(row: commands.CommandRow, words: list[str], given: dict[str, Any]) -> tuple[str, Command, list[str]]:
    """The title, the function and the words of a command, or of the subcommand that the first of ``words`` names.

    A module with subcommands has ``SUBCOMMANDS``, their functions by name; its ``command``, if there is one, runs where
    none is named. Global options before the name of a subcommand are moved to ``given``.
    """
    module: Any = __import__(row.module, fromlist=["command"])
    title = f"replican {row.name}"
    subcommands: dict[str, Command] = getattr(module, "SUBCOMMANDS", {})
    if not subcommands:
        return title, module.command, words
    default: Command | None = getattr(module, "command", None)
    names = ", ".join(subcommands)
    own = parameters(default) if default is not None else []
    try:
        options, rest = quick.split_options((*GLOBALS, ASKS_FOR_HELP, *own), words, everywhere=False)
    except quick.NotPlain as problem:
        raise UsageError(str(problem), f"'{title} -h' tells how it is used") from None
    if rest and rest[0] in subcommands:
        used = [option.name for option in own if option.name in options]
        if used:
            raise UsageError(f"'{title} {rest[0]}' does not take what stands before '{rest[0]}'")
        asks = ["--help"] if options.pop(ASKS_FOR_HELP.name, False) else []
        given.update(_options_of_all(given, options, fill=False))
        return f"{title} {rest[0]}", subcommands[rest[0]], asks + rest[1:]
    if rest:
        raise UsageError(f"'{title}' has no subcommand '{rest[0]}'", f"there are: {names}")
    if default is None and ASKS_FOR_HELP.name not in options:
        raise UsageError(f"'{title}' needs a subcommand", f"there are: {names}")
    return title, default or next(iter(subcommands.values())), words


def help_text(function: Command) -> str:
    """What ``-h`` tells: the docstring of a subcommand's function, or else of the command's file."""
    if function.__name__ != "command" and function.__doc__:
        return function.__doc__
    return sys.modules[function.__module__].__doc__ or ""


def _options_of_all(given: dict[str, Any], values: dict[str, Any], *, fill: bool = True) -> dict[str, Any]:
    """The global options of a call, taken out of ``values``: what stands after the command's name wins."""
    options: dict[str, Any] = {}
    for parameter in GLOBALS:
        name = parameter.name
        after = values.pop(name, parameter.default)
        if parameter.multiple:
            options[name] = (*given.get(name, ()), *after)
        elif after != parameter.default:
            options[name] = after
        elif name in given:
            options[name] = given[name]
        elif fill:
            options[name] = parameter.default
    return options
