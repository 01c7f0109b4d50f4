"""What the index knows of some directories, each asked for when it is wanted.

A look at the whole folder begins with all digests at once. A look at a few paths would be nearly all that beginning:
it costs what the directories on the way cost, however many others there are.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from replican.effects.index import Index, Known
from replican.values.paths import parent_of

_UNASKED: Final = object()


class PartlyKnown(Mapping[bytes, Known]):
    """The same mapping as :meth:`~replican.effects.index.Index.digests` gives. Who goes through it reads all of it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._asked: dict[bytes, Known | None] = {}
        self._whole: dict[bytes, Known] | None = None

    def _find(self, path: bytes) -> Known | None:
        if path not in self._asked:
            # Of what lies in a directory that is not known, nothing is: of all that was unpacked, one is asked for.
            is_new = bool(path) and self._asked.get(parent_of(path), _UNASKED) is None
            self._asked[path] = None if is_new else self._index.known(path, aside=True)
        return self._asked[path]

    def _all(self) -> dict[bytes, Known]:
        if self._whole is None:
            self._whole = self._index.digests()
        return self._whole

    def __getitem__(self, path: bytes) -> Known:
        found = self._find(path)
        if found is None:
            raise KeyError(path)
        return found

    def __contains__(self, path: object) -> bool:
        return isinstance(path, bytes) and self._find(path) is not None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def below(self, tops: list[bytes]) -> Iterator[bytes]:
        """The known directories at and below some."""
        for top in tops:
            yield from self._index.digests_below(top)
