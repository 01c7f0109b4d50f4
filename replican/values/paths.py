"""Paths below a root: bytes, parts joined by ``/``, the root itself ``b""``."""


def join(directory: bytes, name: bytes) -> bytes:
    """The path of ``name`` in ``directory``."""
    return b"%s/%s" % (directory, name) if directory else name


def parent_of(path: bytes) -> bytes:
    """The directory that holds ``path``; of a top-level name, the root."""
    return path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes:
    """The last part of ``path``."""
    return path.rpartition(b"/")[2]


def is_below(path: bytes, directory: bytes) -> bool:
    """Whether ``path`` is ``directory`` or lies under it."""
    return not directory or path == directory or path.startswith(directory + b"/")


def overlap(path: bytes, other: bytes) -> bool:
    """Whether one of both is the other, or lies under it."""
    return is_below(path, other) or is_below(other, path)


def ancestors_of(path: bytes) -> list[bytes]:
    """The directories above ``path``, nearest first, the root last; none for the root."""
    found: list[bytes] = []
    while path:
        path = path.rpartition(b"/")[0]
        found.append(path)
    return found


def show(path: bytes) -> str:
    """``path`` as text in which no byte is lost (surrogateescape). Not yet fit for a terminal."""
    return path.decode("utf-8", "surrogateescape")


def from_text(text: str) -> bytes:
    """The inverse of :func:`show`."""
    return text.encode("utf-8", "surrogateescape")


def json_path(path: bytes, key: str = "path") -> dict[str, str]:
    """The fields of a path in JSON: ``path``, and ``path_b64`` where it is not valid UTF-8."""
    try:
        return {key: path.decode()}
    except UnicodeDecodeError:
        import base64

        return {key: show(path), f"{key}_b64": base64.b64encode(path).decode()}
