"""The typer app of a command, built from the same function as the quick parser reads: for help and for complaints."""

import inspect
import sys
from typing import Annotated, Any, Literal

import typer

from replican.plumbing._front.params import GLOBALS, Command, Parameter, parameters, synopsis
from replican.values.errors import UsageError

EPILOG = "-C DIR, --json, --quiet and the other options of all commands are told in 'replican help'."


def parse(title: str, function: Command, text: str, argv: list[str]) -> dict[str, Any] | None:
    """The values of the parameters of ``function`` and of the global ones; None if help was asked for and given.

    ``title`` is the command as typed (``replican ls-tree``), ``text`` its help. Raises ``UsageError``.
    """
    taken = [*parameters(function), *GLOBALS]
    rich = sys.stdout.isatty()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich" if rich else None)
    app.command(
        help=_paragraphs(text, rich),
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )(_callback(taken))
    parser: Any = typer.main.get_command(app)
    # releases of typer write arguments in different ways
    parser.collect_usage_pieces = lambda _: [synopsis(parameters(function)) or "[-h]"]
    try:
        answer = parser(args=argv, prog_name=title, standalone_mode=False)
    except _usage_errors() as error:
        raise UsageError(_as_told(error), f"'{title} -h' tells how it is used") from None
    if not isinstance(answer, dict):
        return None
    return {p.name: tuple(answer[p.name]) if p.multiple else answer[p.name] for p in taken}


def _callback(taken: list[Parameter]) -> Any:
    """A function with the signature that typer is to see, which hands back what it was called with."""

    def collect(**values: Any) -> dict[str, Any]:
        return values

    signature = []
    for parameter in taken:
        kind: Any = Literal[parameter.choices] if parameter.choices else parameter.kind
        kind = list[kind] if parameter.multiple else kind if parameter.required or parameter.is_flag else kind | None
        default = ... if parameter.required else [] if parameter.multiple else parameter.default
        hidden = parameter in GLOBALS
        marker: Any
        if parameter.names:
            metavar = None if parameter.is_flag else parameter.metavar
            marker = typer.Option(
                *parameter.names, help=parameter.help, metavar=metavar, show_default=False, hidden=hidden
            )
        else:
            marker = typer.Argument(metavar=parameter.synopsis, help=parameter.help, show_default=False)
        signature.append(
            inspect.Parameter(
                parameter.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is ... else default,
                annotation=Annotated[kind, marker],
            )
        )
    collect.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    collect.__annotations__ = {p.name: p.annotation for p in signature}
    return collect


def _usage_errors() -> type[Exception]:
    # click's own class, wherever this release of typer has click: a package of its own, or within
    return next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


def _as_told(error: Exception) -> str:
    message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    return message[:1].lower() + message[1:]


def _paragraphs(text: str, rich: bool) -> str:
    """Help text in which paragraphs with indented lines stay as they are written."""
    if rich:
        from rich.markup import escape

        text = escape(text)
    blocks = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join([f"\b\n{block}" if "\n " in f"\n{block}" else block for block in blocks])
