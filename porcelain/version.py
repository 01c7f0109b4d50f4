"""Print the version of replican.

Output: "replican VERSION". With --json, an object with "version", "json" (the version of what --json promises:
fields are only ever added within one), "format" (of .replican) and "rules" (the number of the merge rules).

Exit codes: 0.
"""

from replican import __version__
from replican.plumbing._front.context import Context
from replican.plumbing._front.output import JSON_VERSION


def version() -> dict[str, str | int]:
    """The version, and the numbers of the formats that come with it."""
    from replican.effects.config import FORMAT
    from replican.values.checkpoints import RULES

    return {"version": __version__, "json": JSON_VERSION, "format": FORMAT, "rules": RULES}


def command(ctx: Context) -> int | None:
    if ctx.json:
        ctx.emit(version())
    else:
        ctx.line(f"replican {__version__}")
    return None
