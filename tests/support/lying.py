"""Links at whose far end somebody says what was written down for him, or is overheard."""

import os
import random
import threading
from pathlib import Path

from replican.effects.channel import Channel
from replican.operations import remotes
from replican.operations.serving import serve
from replican.values.errors import ReplicanError
from replican.values.frames import PREAMBLE


def drain(source: int) -> threading.Thread:
    def read() -> None:
        while os.read(source, 1 << 16):
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


class Told:
    """A link on which the far end says what is in ``said``, whatever it is asked."""

    def __init__(self, said: bytes) -> None:
        (source, into), (out, target) = os.pipe(), os.pipe()
        self._reader = drain(out)
        self._out = out

        def write() -> None:
            try:
                left = said
                while left:
                    left = left[os.write(into, left) :]
            except OSError:
                pass
            os.close(into)

        self._writer = threading.Thread(target=write, daemon=True)
        self._writer.start()
        self.channel = Channel(source, target)

    def close(self) -> int:
        self.channel.close()
        self._writer.join(10)
        self._reader.join(10)
        if self._out >= 0:
            os.close(self._out)
            self._out = -1
        return 0

    def why_it_ended(self) -> ReplicanError:
        self.close()
        return remotes.LinkError("it ended")


class Overheard:
    """A link to a true answerer; what it says is kept."""

    def __init__(self, root: Path) -> None:
        (source, into), (heard, told), (out, target) = os.pipe(), os.pipe(), os.pipe()
        self.said = b""

        def copy() -> None:
            while data := os.read(heard, 1 << 16):
                self.said += data
                while data:
                    data = data[os.write(into, data) :]
            os.close(into)
            os.close(heard)

        self._threads = [
            threading.Thread(target=copy, daemon=True),
            threading.Thread(target=lambda: serve(out, told, str(root)), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self.channel = Channel(source, target)

    def close(self) -> int:
        self.channel.close()
        for thread in self._threads:
            thread.join(10)
        return 0


def damaged(said: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(PREAMBLE), min(len(said), 3000)) if rng.random() < 0.8 else rng.randrange(len(said))
    kind = rng.randrange(4)
    if kind == 0:
        return said[:at]
    if kind == 1:
        return said[:at] + bytes([rng.randrange(256)]) + said[at + 1 :]
    if kind == 2:
        return said[:at] + rng.randbytes(rng.randrange(1, 9)) + said[at:]
    return said[:at] + said[at + rng.randrange(1, 9) :]
