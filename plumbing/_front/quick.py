"""The quick parser: the plain cases of a command line, without importing typer (which takes 50 ms).

It knows what typer's parser does with long and short options, bundles, ``--`` and arguments, and for whatever is not
plainly right (help, an unknown option, a missing argument, a bad value) it gives up: then the typer app, made from the
same function, decides and speaks. A property test holds the two to the same answers.
"""

from collections.abc import Sequence
from typing import Any

from replican.plumbing._front.params import Parameter


class NotPlain(Exception):  # noqa: N818 - a signal to ask typer, not an error
    """The quick parser cannot tell, or sees that something is wrong; its text says what."""


def parse(taken: Sequence[Parameter], argv: Sequence[str]) -> dict[str, Any] | None:
    """The value of each parameter by name; None where typer has to decide."""
    try:
        values, rest = split_options(taken, argv, everywhere=True)
        values.update(_arguments([p for p in taken if not p.names], rest))
        for parameter in taken:
            if parameter.name not in values:
                if parameter.required:
                    return None
                values[parameter.name] = parameter.default
    except NotPlain:
        return None
    return values


def split_options(
    taken: Sequence[Parameter], argv: Sequence[str], *, everywhere: bool
) -> tuple[dict[str, Any], list[str]]:
    """The options given in ``argv``, and what is left of it.

    Options are looked for up to ``--`` and, unless ``everywhere``, up to the first argument. Raises ``NotPlain``.
    """
    known = {name: parameter for parameter in taken for name in parameter.names}
    values: dict[str, Any] = {}
    arguments: list[str] = []
    rest = list(reversed(argv))  # a stack
    while rest:
        word = rest.pop()
        if word == "--":
            break
        if len(word) < 2 or word[0] != "-":
            if not everywhere:
                rest.append(word)
                break
            arguments.append(word)
        elif word.startswith("--"):
            name, equals, given = word.partition("=")
            _take(known, name, given if equals else None, rest, values)
        else:
            _take_bundle(known, word, rest, values)
    return values, arguments + rest[::-1]


def _take_bundle(known: dict[str, Parameter], word: str, rest: list[str], values: dict[str, Any]) -> None:
    # -z, -zr, -n5, -n 5: the first option with a value takes what is left of the word
    for at in range(1, len(word)):
        name = "-" + word[at]
        parameter = known.get(name)
        given = word[at + 1 :] or None
        if parameter is not None and not parameter.is_flag:
            _take(known, name, given, rest, values)
            return
        _take(known, name, None, rest, values)


def _take(known: dict[str, Parameter], name: str, given: str | None, rest: list[str], values: dict[str, Any]) -> None:
    parameter = known.get(name)
    if parameter is None:
        raise NotPlain(f"unknown option: {name}")
    if parameter.is_flag and given is not None:
        raise NotPlain(f"option {name} takes no value")
    if parameter.is_flag:
        values[parameter.name] = True
        return
    if given is None:
        if not rest:
            raise NotPlain(f"option {name} needs a value")
        given = rest.pop()
    value = _convert(parameter, given)
    if parameter.multiple:
        values[parameter.name] = (*values.get(parameter.name, ()), value)
    else:
        values[parameter.name] = value


def _arguments(taken: Sequence[Parameter], words: list[str]) -> dict[str, Any]:
    """Words dealt out to arguments: from the left up to the one that may come often, then from the right."""
    values: dict[str, Any] = {}
    at = next((i for i, parameter in enumerate(taken) if parameter.multiple), len(taken))
    left, right = list(taken[:at]), list(taken[at + 1 :])
    for parameter in left:
        if words:
            values[parameter.name] = _convert(parameter, words.pop(0))
    for parameter in reversed(right):
        if words:
            values[parameter.name] = _convert(parameter, words.pop())
    if at < len(taken):
        if words:
            values[taken[at].name] = tuple([_convert(taken[at], word) for word in words])
    elif words:
        raise NotPlain(f"too many arguments: {words[0]}")
    return values


def _convert(parameter: Parameter, word: str) -> Any:
    if parameter.choices and word not in parameter.choices:
        raise NotPlain(f"not one of {', '.join(parameter.choices)}: {word}")
    if parameter.kind is str:
        return word
    try:
        return parameter.kind(word)
    except ValueError:
        raise NotPlain(f"not a number: {word}") from None
