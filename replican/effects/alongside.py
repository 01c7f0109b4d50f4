"""A wait for the disk in a thread of its own, while the interpreter goes on with something else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def alongside(wait: Callable[[], None]) -> Iterator[None]:
    """Run ``wait``, which spends its time in system calls, beside the block; it is done at the block's end.

    Raises what ``wait`` raised, unless the block raised something.
    """
    from threading import Thread

    errors: list[BaseException] = []

    def run() -> None:
        try:
            wait()
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if errors:
        raise errors[0]
