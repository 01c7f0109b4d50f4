"""What a file system can hold: found out by a probe, and used to tell beforehand what cannot be put down.

A tree knows no file system: it has every name, link and permission that anybody recorded. What a folder's own file
system cannot hold of it is *held*: it stays in the log, is not on the disk, and its absence is no deletion.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from replican.values.trees import DIRECTORY, LINK

_REFUSED_ENDS = (b".", b" ")


class Traits(NamedTuple):
    """One file system. The defaults are those of one that holds everything.

    ``folds_case``, ``folds_form``: names that differ only so (form: NFC and NFD) are one name. ``form`` is what names
    are turned into when they are stored (``NFC``, ``NFD``, or nothing). ``links``: there are symlinks. ``modes``:
    permissions are kept. ``step_ns``: times are whole multiples of it. ``name_limit``: bytes that a name may have.
    ``refused``: bytes that no name may have. ``utf8``: every name must be UTF-8. ``plain_ends``: no name ends with a
    dot or a space.
    """

    folds_case: bool = False
    folds_form: bool = False
    form: str = ""
    links: bool = True
    modes: bool = True
    step_ns: int = 1
    name_limit: int = 255
    refused: str = ""
    utf8: bool = False
    plain_ends: bool = False

    @property
    def folds(self) -> bool:
        """Whether two different names may be one."""
        return self.folds_case or self.folds_form

    @property
    def holds_all(self) -> bool:
        """Whether every tree can be put down, but for rounded times and permissions."""
        return self._replace(modes=True, step_ns=1) == STRONG

    def fold(self, name: bytes) -> bytes:
        """What equal names have in common. Rather too much than too little: what is held can still be had, and what is
        not could be overwritten."""
        if not self.folds:
            return name
        if name.isascii():
            return name.lower() if self.folds_case else name
        import unicodedata

        try:
            text = name.decode()
        except UnicodeDecodeError:
            return name
        if self.folds_case:
            text = text.casefold()
        return (unicodedata.normalize("NFD", text) if self.folds_form else text).encode()

    def why_not(self, name: bytes, kind: bytes) -> str | None:
        """Why there cannot be this name, or a link; None where there can."""
        if kind == LINK and not self.links:
            return "this file system has no links"
        if len(name) > self.name_limit:
            return "name too long for this file system"
        if self.refused and not set(self.refused.encode()).isdisjoint(name):
            return "name not possible on this file system"
        if self.plain_ends and name.endswith(_REFUSED_ENDS):
            return "name not possible on this file system"
        if not name.isascii() and (self.utf8 or self.form):
            try:
                text = name.decode()
            except UnicodeDecodeError:
                return "name not possible on this file system" if self.utf8 else None
            if self.form:
                import unicodedata

                if unicodedata.normalize(self.form, text) != text:  # type: ignore[arg-type]
                    return f"name not in the form that this file system keeps ({self.form})"
        return None

    def why_not_at(self, path: bytes, kind: bytes) -> str | None:
        """Why there cannot be this path, whose last name is of that kind; None where there can."""
        *above, name = path.split(b"/")
        reasons = [self.why_not(each, DIRECTORY) for each in above]
        return next((reason for reason in [*reasons, self.why_not(name, kind)] if reason is not None), None)

    def same_time(self, disk_ns: int, logical_ns: int) -> bool:
        """Whether the disk's time is what this file system makes of the logical one."""
        return disk_ns == logical_ns or abs(disk_ns - logical_ns) < self.step_ns

    def encode(self) -> bytes:
        return json.dumps(self._asdict(), sort_keys=True).encode()

    @classmethod
    def decode(cls, text: bytes) -> "Traits":
        """The inverse of :meth:`encode`; raises ``ValueError`` for anything else."""
        found = json.loads(text)
        if not isinstance(found, dict) or found.keys() != cls._field_defaults.keys():
            raise ValueError("not what a probe has found")
        return cls(**found)


STRONG: Final = Traits()

_FOLDS_ALL: Final = Traits(folds_case=True, folds_form=True)


def twins(names: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The names, each with another before it, that some file system takes for one."""
    names = list(names)
    if len(set(map(bytes.lower, names))) == len(names) and b"".join(names).isascii():
        return
    first: dict[bytes, bytes] = {}
    for name in names:
        other = first.setdefault(_FOLDS_ALL.fold(name), name)
        if other is not name:
            yield other, name


def twin_of(name: bytes, names: Iterable[bytes]) -> bytes | None:
    """Which of ``names`` some file system takes for ``name``."""
    folded = _FOLDS_ALL.fold(name)
    return next((each for each in names if each != name and _FOLDS_ALL.fold(each) == folded), None)
