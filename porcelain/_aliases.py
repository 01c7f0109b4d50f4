"""Aliases, as git has them: ``alias.NAME`` in the settings is what ``replican NAME`` stands for."""

from replican import settings
from replican.effects.config import Config
from replican.effects.roots import DOT, find_root
from replican.plumbing._front.context import Context
from replican.values.errors import FolderError, NoRepositoryError, UsageError


def root_here() -> str | None:
    """The root of the replica that the working directory lies in, if it does."""
    try:
        return find_root(Context().directory)
    except (NoRepositoryError, FolderError):
        return None


def aliases() -> dict[str, str]:
    """The aliases that hold here: the replica's and the user's."""
    root, user_file = root_here(), settings.user_config_file()
    config = Config.user_only(user_file) if root is None else Config.load(f"{root}/{DOT}", user_file)
    return config.aliases()


def split(name: str, meaning: str) -> list[str]:
    """The words of an alias; raises ``UsageError`` for an open quote or no words at all."""
    import shlex

    try:
        words = shlex.split(meaning)
    except ValueError:
        raise UsageError(f"alias '{name}' has an open quote: {meaning}") from None
    if not words:
        raise UsageError(f"alias '{name}' is empty")
    return words
