"""``replican`` with the tail in use, as the processes of a watch have it: run as ``python tailed.py COMMAND ...``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from replican.porcelain._main import main
from replican.repository import Repository


@contextmanager
def tailed() -> Iterator[None]:
    """Within this, every repository that is opened in this process uses its tail."""
    opened = Repository.__init__

    def begin(self: Repository, *words: object, **named: object) -> None:
        opened(self, *words, **named)  # type: ignore[arg-type]
        self.tailing.begin()

    Repository.__init__ = begin  # type: ignore[method-assign]
    try:
        yield
    finally:
        Repository.__init__ = opened  # type: ignore[method-assign]


if __name__ == "__main__":
    with tailed():
        sys.exit(main())
