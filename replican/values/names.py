"""Names: which a tree may hold, and which of them are conflict copies of another.

A conflict copy is a name and nothing else: ``<stem>.conflict-<YYYYMMDDTHHMMSSZ>-<8 to 64 hex digits><.ext>``
is a copy of ``<stem><.ext>``. :func:`group_key` is thus a function of the name alone, so every peer groups a
listing alike, and ``group_key(copy_name(key, ...)) == key`` always holds (suffixes never nest).
"""

import hashlib
import re
import time
from collections.abc import Collection, Container, Sequence
from typing import Final

from replican.values.ids import BlobId

NAME_LIMIT: Final = 255
"""The longest name, in bytes."""
DOT_DIRECTORY: Final = b".replican"
"""Where a replica keeps what is its own: never a name in a tree, in any form that a file system could take for it."""

COPY_MARK: Final = b".conflict-"
"""What every name of a conflict copy has in it, and others may have, too."""

_DIGITS = 8
_SUFFIX_SIZE = len(".conflict-YYYYMMDDTHHMMSSZ-") + _DIGITS
_KEY_LIMIT = NAME_LIMIT - _SUFFIX_SIZE
"""A longer name has no room for a suffix: its group goes by the cut form."""
_EXTENSION_LIMIT = 64
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799  # the years 1 and 9999

# FAT and NTFS drop what a name ends in, name streams after a colon, and give every long name a short one.
_OURS = re.compile(rb"(?:\.replican|replic~[0-9])[. ]*(?::.*)?", re.DOTALL)
_COPY = re.compile(rb"(.+)\.conflict-\d{8}T\d{6}Z-[0-9a-f]{8,64}(\.[^.]*)?", re.DOTALL)
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def is_tree_name(name: bytes) -> bool:
    """Whether a tree may hold ``name``: a single part of a path, and not one that is, or folds to, ``.replican``."""
    if not name or len(name) > NAME_LIMIT or b"/" in name or b"\0" in name:
        return False
    if name.isascii():  # nearly all names end here
        if name[0] != 0x2E and b"~" not in name:
            return True
        return name != b"." and name != b".." and not _OURS.fullmatch(name.lower())
    return not _folds_to_dot_directory(name)


def are_tree_names(names: Sequence[bytes]) -> bool:
    """Whether a tree may hold each of ``names``."""
    # Nearly all are found to be plain together.
    text = b"/%s/" % b"/".join(names)
    if (
        text.isascii()
        and b"~" not in text
        and b"/." not in text
        and b"//" not in text
        and b"\0" not in text
        and text.count(b"/") == len(names) + 1
        and max(map(len, names)) <= NAME_LIMIT
    ):
        return True
    return all(map(is_tree_name, names))


def _folds_to_dot_directory(name: bytes) -> bool:
    """Whether a file system that folds case, widths or invisible characters could take ``name`` for ``.replican``."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    import unicodedata

    text = unicodedata.normalize("NFKC", _IGNORABLE.sub("", text))
    text = _IGNORABLE.sub("", unicodedata.normalize("NFKC", text.casefold()))
    return _OURS.fullmatch(text.encode()) is not None


def is_copy_name(name: bytes) -> bool:
    """Whether ``name`` is that of a conflict copy."""
    return _copied(name) is not None


def group_key(name: bytes) -> bytes:
    """The name that all versions of what ``name`` belongs to are grouped by: ``name`` itself where it is no copy.

    Of a name that is too long to take a suffix, and of its copies, that is its cut form.
    """
    while True:
        if b".conflict-" in name:
            copied = _copied(name)
            if copied is not None:
                name = copied
                continue
        if len(name) <= _KEY_LIMIT:
            return name
        name = _cut(name)  # which may, by bad luck, look like a copy


def keys_apart(names: Collection[bytes]) -> dict[bytes, bytes]:
    """The group keys of those of ``names`` that are not their own."""
    text = b"/".join(names)
    if b".conflict-" not in text and (len(text) <= _KEY_LIMIT or max(map(len, names)) <= _KEY_LIMIT):
        return {}  # nearly all directories end here
    return {name: key for name in names if (key := group_key(name)) != name}


def copy_name(key: bytes, mtime_ns: int, blob: BlobId, taken: Container[bytes]) -> bytes:
    """The name of a version's conflict copy in the group ``key``: the shortest that is not ``taken``."""
    stamp = time.gmtime(min(max(mtime_ns // 1_000_000_000, _FIRST_SECOND), _LAST_SECOND))
    when = b".conflict-%04d%02d%02dT%02d%02d%02dZ-" % stamp[:6]
    stem, extension = _split(key)
    if group_key(b"%s%s%s%s" % (stem, when, b"0" * _DIGITS, extension)) != key:
        stem, extension = key, b""  # what follows the last dot is itself the suffix of a copy of a forbidden name
    room = min(NAME_LIMIT - len(key) - _SUFFIX_SIZE + _DIGITS, 64)
    digits, size, again = blob.hex().encode(), _DIGITS, 0
    while True:
        name = b"%s%s%s%s" % (stem, when, digits[:size], extension)
        if name not in taken:
            return name
        if size < room:
            size = min(2 * size, room)
        else:  # equal bytes as file and as link, or somebody made directories of these names
            again += 1
            digits = hashlib.sha256(b"%s %d" % (blob, again)).hexdigest().encode()


def copy_time(name: bytes) -> int:
    """The time in the name of a conflict copy, in ns; 0 where it has none."""
    from calendar import timegm

    found = re.search(rb"\.conflict-(\d{8}T\d{6})Z-[0-9a-f]{8,64}(?:\.[^.]*)?$", name)
    try:
        return timegm(time.strptime(found[1].decode(), "%Y%m%dT%H%M%S")) * 10**9 if found else 0
    except ValueError:
        return 0


def _copied(name: bytes) -> bytes | None:
    """The name that the copy ``name`` was made from; None where it is no copy."""
    match = _COPY.fullmatch(name)
    if match is None:
        return None
    stem, extension = match.groups()
    copied: bytes = stem + (extension or b"")
    return copied if is_tree_name(copied) else None


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Stem and extension; the extension has its dot, or is empty."""
    at = name.rfind(b".")
    return (name[:at], name[at:]) if at > 0 else (name, b"")


def _cut(name: bytes) -> bytes:
    """A name that can take a suffix, for one that cannot."""
    mark = b"~" + hashlib.sha256(name).hexdigest()[:16].encode()
    stem, extension = _split(name)
    if len(extension) > _EXTENSION_LIMIT:
        stem, extension = name, b""
    end = _KEY_LIMIT - len(mark) - len(extension)
    for _ in range(3):  # not inside a UTF-8 character, where it is one
        if stem[end] & 0xC0 != 0x80:
            break
        end -= 1
    return stem[:end] + mark + extension
