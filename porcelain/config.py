"""Get and set settings.

A setting has a dotted name, like author.name. What is set in the replica stands above what is set for the user,
in $XDG_CONFIG_HOME/replican/config.toml; --user reads and writes only that. Both are TOML, and may be edited by
hand.

"replican config KEY" is short for "get KEY", "replican config KEY VALUE" for "set KEY VALUE". Remotes are set
by "replican remote".

Output: get prints the value, which may be the default of a setting that replican knows; list prints KEY=VALUE,
a setting a line. With --json, get prints the value, and list an object.

Exit codes: 0 done; 1 the setting is not set; 2 usage, or a value that does not fit; 6 a file is damaged.

    replican config author.name 'Ann Other'
    replican config --user alias.st status
    replican config get trash.expiry_days
"""

from typing import TYPE_CHECKING, Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.exits import DIFFERENT
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import FolderError, NoRepositoryError, UsageError

if TYPE_CHECKING:
    from replican.effects.config import Config
    from replican.effects.setting import Value

GET, SET, UNSET, LIST = "get", "set", "unset", "list"
_WORDS = {GET: 1, SET: 2, UNSET: 1, LIST: 0}


def what(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The action that the words ask for, and its arguments; raises ``UsageError``."""
    if not words:
        return LIST, ()
    if words[0] in _WORDS:
        action, rest = words[0], words[1:]
    elif "." not in words[0]:
        raise UsageError(f"'{words[0]}' is neither a setting, like author.name, nor one of {', '.join(_WORDS)}")
    else:
        action, rest = (GET if len(words) == 1 else SET), words
    if len(rest) != _WORDS[action]:
        needs = {0: "nothing more", 1: "KEY", 2: "KEY and VALUE"}[_WORDS[action]]
        raise UsageError(f"'replican config {action}' takes {needs}", "'replican config -h' tells how it is used")
    return action, rest


def settings_here(ctx: Context, *, user: bool) -> "Config":
    """The settings that hold here; only the user's where that is asked for, or there is no replica."""
    from replican import settings
    from replican.effects.config import Config
    from replican.effects.roots import DOT, find_root

    user_file = settings.user_config_file()
    if user:
        return Config.user_only(user_file)
    try:
        return Config.load(f"{find_root(ctx.directory)}/{DOT}", user_file)
    except NoRepositoryError:
        return Config.user_only(user_file)


def command(
    ctx: Context,
    words: Annotated[tuple[str, ...], Argument("WORD", help="get KEY, set KEY VALUE, unset KEY, or list")] = (),
    user: Annotated[bool, Option("--user", help="only the user's settings, not the replica's")] = False,
) -> int | None:
    action, rest = what(words)
    config = settings_here(ctx, user=user)
    if action == LIST:
        items = [(key, value) for key, value in config.items() if not key.startswith("remotes.")]
        if ctx.json:
            ctx.emit(dict(items))
            return None
        for key, value in items:
            ctx.line(f"{key}={show(value)}")
    elif action in (SET, UNSET):
        if action == SET:
            config.set(rest[0], rest[1], user)
        else:
            config.unset(rest[0], user)
        _tell_watch(ctx)
    else:
        found = config.get(rest[0])
        if found is None or found == "":
            return DIFFERENT
        if ctx.json:
            ctx.emit(found)
        else:
            ctx.line(show(found))
    return None


def _tell_watch(ctx: Context) -> None:
    """Who watches the folder, if this is in one and somebody does, takes up what was changed."""
    from replican.effects.asking import say_config_changed
    from replican.effects.roots import DOT, find_root

    try:
        root = find_root(ctx.directory)
    except (NoRepositoryError, FolderError):
        return
    say_config_changed(f"{root}/{DOT}")


def show(value: "Value") -> str:
    """A value as it would be typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)
