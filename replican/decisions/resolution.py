"""How a conflict is ended: which names a listing has afterwards. Pure.

Whatever is kept gets a name that is no conflict copy's, and that belongs to no other group: so every group that comes
of it holds one version, and the conflict is over for every peer that takes the change in.
"""

from collections.abc import Container, Iterable
from typing import Final

from replican.decisions.reconcile import OpenConflict
from replican.values.errors import NotFoundError, RefusedError
from replican.values.names import NAME_LIMIT, group_key, is_copy_name
from replican.values.paths import join, name_of, parent_of, show
from replican.values.trees import DIRECTORY, Entry

CURRENT: Final = "current"
COPY: Final = "copy"
BOTH: Final = "both"

Changes = dict[bytes, Entry | None]
"""What paths hold afterwards; None for nothing."""


def settle(conflict: OpenConflict, keep: str, copy: bytes | None, names: Iterable[bytes]) -> Changes:
    """The changes that end ``conflict``. ``names`` are all names of its directory; ``copy`` is the path or the name
    of the copy to keep.

    Raises ``NotFoundError`` for a copy that is none of its copies, ``RefusedError`` where the choice is not clear or a
    whole directory would go.
    """
    if keep == BOTH:
        return _keep_all(conflict, names)
    chosen = conflict.current if keep == CURRENT else _copy_of(conflict, copy)[1]
    changes: Changes = {path: None for path, _ in conflict.copies}
    if keep == COPY and conflict.current.kind == DIRECTORY and not conflict.current.is_unit:
        raise RefusedError(
            f"{show(conflict.path)} is a directory now, and would have to go for the copy",
            "keep both, which gives the file a name of its own; or delete the directory first",
        )
    changes[conflict.path] = None
    changes[join(parent_of(conflict.path), _own_name(conflict))] = chosen
    return changes


def _copy_of(conflict: OpenConflict, wanted: bytes | None) -> tuple[bytes, Entry]:
    if wanted is not None:
        for path, entry in conflict.copies:
            if wanted in (path, name_of(path)):
                return path, entry
        raise NotFoundError(f"{show(wanted)} is no copy of {show(conflict.path)}", _list(conflict))
    if len(conflict.copies) > 1:
        raise RefusedError(
            f"{show(conflict.path)} has {len(conflict.copies)} copies", f"say --copy NAME; {_list(conflict)}"
        )
    return conflict.copies[0]


def _list(conflict: OpenConflict) -> str:
    return "there are: " + ", ".join(show(name_of(path)) for path, _ in conflict.copies)


def _own_name(conflict: OpenConflict) -> bytes:
    """The name that is fought for: the current entry's, but where that is a copy itself what it is a copy of."""
    name = name_of(conflict.path)
    return group_key(name) if is_copy_name(name) else name


def _keep_all(conflict: OpenConflict, names: Iterable[bytes]) -> Changes:
    directory = parent_of(conflict.path)
    own = _own_name(conflict)
    taken = {group_key(name) for name in names}
    taken.update(names)
    taken.add(own)
    changes: Changes = {}
    if own != name_of(conflict.path):
        changes[conflict.path] = None
        changes[join(directory, own)] = conflict.current
    kept = {(conflict.current.kind, conflict.current.id)}
    for path, entry in conflict.copies:
        changes[path] = None
        if (entry.kind, entry.id) in kept:
            continue  # the same version twice
        kept.add((entry.kind, entry.id))
        name = free_name(own, taken)
        taken.add(name)
        changes[join(directory, name)] = entry
    return changes


def free_name(name: bytes, taken: Container[bytes]) -> bytes:
    """A name like ``name`` that is not taken: ``letter-2.txt`` for ``letter.txt``, and so on.

    It is no conflict copy's, and has room for a suffix of one, so that it can come into a conflict of its own.
    """
    at = name.rfind(b".")
    stem, extension = (name[:at], name[at:]) if at > 0 and len(name) - at <= 32 else (name, b"")
    number = 2
    while True:
        tail = b"-%d%s" % (number, extension)
        made = _cut(stem, NAME_LIMIT - len(tail)) + tail
        while group_key(made) != made:
            stem = _cut(stem, len(stem) - 8)
            made = stem + tail
        if made not in taken:
            return made
        number += 1


def _cut(stem: bytes, size: int) -> bytes:
    """The first ``size`` bytes, or some less: not inside a UTF-8 character."""
    if len(stem) <= size:
        return stem
    while size > 0 and stem[size] & 0xC0 == 0x80:
        size -= 1
    return stem[:size] or b"_"


def forget(conflict: OpenConflict | None, path: bytes, instead: Entry | None) -> Changes:
    """The changes that drop the version at ``path``, whose content is nowhere; ``instead`` is what the folder holds
    there.

    Where the version has the name itself and others are beside it, the first of them that is left takes the name.
    """
    changes: Changes = {path: instead}
    is_version = conflict is not None and (conflict.current.kind != DIRECTORY or conflict.current.is_unit)
    if instead is None and conflict is not None and conflict.path == path and is_version:
        heir = max(conflict.copies, key=lambda copy: (copy[1].is_unit, copy[1].mtime_ns, copy[1].id))
        changes[heir[0]] = None
        changes[path] = heir[1]
    return changes
