"""How a command says what it takes: markers in the annotations of its ``command`` function.

::

    def command(
        ctx: Context,
        tree: Annotated[str, Argument("TREE", help="the tree", complete="ref")],
        parent: Annotated[str | None, Option("-p", "--parent", metavar="ID", help="the parent")] = None,
        nul: Annotated[bool, Option("-z", help="end paths with NUL")] = False,
        paths: Annotated[tuple[str, ...], Argument("PATH", help="only these", complete="path")] = (),
    ) -> int | None: ...

A parameter is a ``bool`` (a flag, off by default), ``str``, ``int`` or ``float``; ``X | None`` where it may be
left out; ``tuple[X, ...]`` where it may come often. One without a default is required. From these annotations come
the quick parser, the typer app that helps and complains, the completion scripts, and the test of the man page. A file
of a command must not import ``annotations`` from ``__future__``: the markers are read as they stand.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

Command = Callable[..., int | None]


class Option:
    """Marks an option: its names as typed, most telling last (``"-m", "--message"``).

    ``complete`` says what completes its value: ``ref``, ``remote``, ``path`` (a tracked one), ``file``, ``directory``
    or ``command``; ``choices`` are all values that there are.
    """

    __slots__ = ("choices", "complete", "help", "metavar", "names")

    def __init__(
        self, *names: str, help: str, metavar: str = "", choices: tuple[str, ...] = (), complete: str = ""
    ) -> None:
        self.names = names
        self.metavar = metavar or "|".join(choices)
        self.help = help
        self.choices = choices
        self.complete = complete


class Argument:
    """Marks a positional argument, shown as ``metavar``; the rest is as for :class:`Option`."""

    __slots__ = ("choices", "complete", "help", "metavar", "names")

    def __init__(self, metavar: str, *, help: str, choices: tuple[str, ...] = (), complete: str = "") -> None:
        self.names: tuple[str, ...] = ()
        self.metavar = metavar
        self.help = help
        self.choices = choices
        self.complete = complete


class Parameter(NamedTuple):
    """One parameter of a command, as its annotation gives it. ``names`` is empty for an argument."""

    name: str
    names: tuple[str, ...]
    kind: type
    multiple: bool
    required: bool
    default: Any
    metavar: str
    help: str
    choices: tuple[str, ...]
    complete: str

    @property
    def is_flag(self) -> bool:
        return self.kind is bool

    @property
    def synopsis(self) -> str:
        """As a synopsis has it: ``[-p ID]``, ``[FILE...]``, ``TREE``."""
        if self.names:
            text = self.names[0] if self.is_flag else f"{self.names[0]} {self.metavar}"
            dots = "..." if self.multiple else ""
            return f"{text}{dots}" if self.required else f"[{text}]{dots}"
        text = f"{self.metavar}..." if self.multiple else self.metavar
        return text if self.required else f"[{text}]"


def parameters(function: Command) -> list[Parameter]:
    """What ``function`` takes after its context, in order."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    defaults = dict(function.__kwdefaults__ or {})
    values = function.__defaults__ or ()
    defaults.update(zip(names[code.co_argcount - len(values) : code.co_argcount], values, strict=True))
    return [_parameter(name, function.__annotations__[name], defaults) for name in names[1:]]


def _parameter(name: str, annotation: Any, defaults: dict[str, Any]) -> Parameter:
    marker: Option | Argument = annotation.__metadata__[0]
    shape: Any = annotation.__origin__
    multiple = getattr(shape, "__origin__", None) is tuple
    if multiple or not isinstance(shape, type):
        shape = shape.__args__[0]
    return Parameter(
        name,
        marker.names,
        shape,
        multiple,
        name not in defaults,
        defaults.get(name),
        marker.metavar,
        marker.help,
        marker.choices,
        marker.complete,
    )


def _of_all(names: tuple[str, ...], kind: type, default: Any, help: str, metavar: str = "") -> Parameter:
    name = f"global_{names[-1].strip('-').replace('-', '_')}"
    return Parameter(name, names, kind, default == (), False, default, metavar, help, (), "")


GLOBALS: Final = (
    _of_all(("-C",), str, (), "run as if started in this folder", "DIR"),
    _of_all(("--json",), bool, False, "print results, and errors, as JSON"),
    _of_all(("--jsonl",), bool, False, "as --json, with a long result as one JSON value a line"),
    _of_all(("-q", "--quiet"), bool, False, "say nothing on stderr but errors"),
    _of_all(("--no-progress",), bool, False, "show no progress"),
    _of_all(("--wait",), float, 10.0, "wait so long for another process to finish (10)", "SECS"),
    _of_all(("--version",), bool, False, "print the version"),
)
"""The options that every command takes, before its name or after it."""


def synopsis(taken: list[Parameter]) -> str:
    """A synopsis made from the parameters: options first."""
    ordered = [p for p in taken if p.names] + [p for p in taken if not p.names]
    return " ".join([parameter.synopsis for parameter in ordered])
