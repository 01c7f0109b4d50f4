"""A process that tracks a folder, as a watch does, and answers whoever asks it."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import monotonic

from replican.effects.answering import Listener
from replican.operations.status import encode_told
from replican.operations.tracker import Tracker
from replican.repository import Repository
from replican.values.errors import LockedError


@contextmanager
def tracked(root: Path, *, looks: bool = True) -> Iterator[int]:
    """Track a folder meanwhile; the process id. Unless it ``looks``, it only hears of what changes."""
    told, tell = os.pipe()
    ended, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(end)
            os.close(told)
            _track(root, tell, ended, looks)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(tell)
    os.close(ended)
    try:
        assert os.read(told, 1) == b"1", "it has begun"
        yield pid
    finally:
        os.close(told)
        os.close(end)
        assert os.waitpid(pid, 0)[1] in (0, 9)


def _track(root: Path, tell: int, ended: int, looks: bool) -> None:
    with Repository.open(str(root), wait=0) as repo, Listener(repo.dotdir) as listener:
        tracker = Tracker(repo)
        watcher = tracker.watch()
        tracker.look(monotonic())
        os.write(tell, b"1")
        while True:
            sources = [watcher.fileno(), ended, *listener.sources]
            readable, writable, _ = select(sources, listener.sinks, [], 0.1)
            if ended in readable:
                break
            now = monotonic()
            listener.turn([*readable, *writable], lambda _: encode_told(tracker.told(monotonic())), now)
            if looks:
                tracker.listen(now)
                try:
                    tracker.look(now)
                except LockedError:
                    pass  # it is looked at in the next turn
        tracker.close()
