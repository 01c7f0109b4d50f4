"""Installing what has a folder watched from login on. A file that we did not write, or that was edited since, stays."""

import os
from typing import NamedTuple

from replican.effects import durable
from replican.values.errors import NotFoundError, RefusedError
from replican.values.units import Unit, is_ours

_LIMIT = 1 << 20


class Installed(NamedTuple):
    """Where the file is, and whether it was written just now: else it was there already."""

    path: str
    written: bool


def install(unit: Unit, directory: str) -> Installed:
    """Write the file of a service; raises ``RefusedError`` where there is another one that is not ours."""
    path = _place(unit, directory)
    there = _read(path)
    if there == unit.content:
        return Installed(path, False)
    if there is not None:
        _check_ours(path, there)
    try:
        durable.make_directory(os.path.dirname(path))
        durable.replace_file(path, unit.content)
    except OSError as error:
        raise durable.explain(error, f"write {path}") from error
    return Installed(path, True)


def uninstall(unit: Unit, directory: str) -> str:
    """Remove the file of a service, and the link that enables it; its path. Raises ``NotFoundError`` where there is
    none, ``RefusedError`` where it is not ours."""
    path = _place(unit, directory)
    there = _read(path)
    if there is None:
        raise NotFoundError(f"there is no service at {path}")
    _check_ours(path, there)
    try:
        if unit.link is not None:
            _remove_link(os.path.join(os.path.dirname(path), unit.link), path)
        os.unlink(path)
        durable.flush_directory(os.path.dirname(path))
    except OSError as error:
        raise durable.explain(error, f"remove {path}") from error
    return path


def _place(unit: Unit, directory: str) -> str:
    # The directory, or one above it, may be a link to where its owner keeps such files; the file itself may not.
    return os.path.join(os.path.realpath(directory), unit.file)


def _read(path: str) -> bytes | None:
    try:
        with open(durable.open_file(path), "rb") as file:
            return file.read(_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RefusedError(
            f"{path} is there already, and cannot be read: {(error.strerror or '').lower()}", "move it away"
        ) from error


def _check_ours(path: str, content: bytes) -> None:
    if not is_ours(content):
        raise RefusedError(
            f"{path} was not written by replican, or has been edited since", "move it away, if it is not needed"
        )


def _remove_link(link: str, target: str) -> None:
    try:
        if os.path.realpath(os.path.join(os.path.dirname(link), os.readlink(link))) == target:
            os.unlink(link)
    except (FileNotFoundError, NotADirectoryError):
        pass
