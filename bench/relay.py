"""What stands between the two ends of a link, counts the bytes each way, and may hold them up.

``relay.py COUNTS MS run COMMAND...`` runs a command, ``relay.py COUNTS MS tcp PORT`` reaches a port here (as a
``ProxyCommand`` of ssh); the other end is stdin and stdout. Each direction is held up by so many milliseconds. In the
end a line with both counts, to and fro, is put to the file COUNTS.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

_PIECE = 1 << 16


class Way:
    """One direction, from one descriptor to another."""

    def __init__(self, source: int, target: int, delay: float, end: Callable[[], object]) -> None:
        self.count = 0
        self._source, self._target, self._delay, self._end = source, target, delay, end
        self._waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        works = (self._read, self._write) if delay else (self._pass,)
        self.threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self.threads:
            thread.start()

    def _pass(self) -> None:
        while data := self._next():
            self._put(data)
        self._end()

    def _read(self) -> None:
        while data := self._next():
            self._waiting.put((time.monotonic() + self._delay, data))
        self._waiting.put((time.monotonic() + self._delay, b""))

    def _write(self) -> None:
        while True:
            due, data = self._waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                self._end()
                return
            self._put(data)

    def _next(self) -> bytes:
        try:
            data = os.read(self._source, _PIECE)
        except OSError:
            return b""
        self.count += len(data)
        return data

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._target, data) :]
        except OSError:
            pass  # nobody listens any more; what else comes is counted


def main() -> int:
    counts, delay, kind, *words = sys.argv[1:]
    seconds = float(delay) / 1000
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # ssh sends that to its proxy in the end, which has counts to write
    for fd in (0, 1):
        os.set_blocking(fd, True)  # rsync hands over sockets that are not
    if kind == "tcp":
        there = socket.create_connection(("127.0.0.1", int(words[0])))
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        to = Way(0, there.fileno(), seconds, lambda: there.shutdown(socket.SHUT_WR))
        fro = Way(there.fileno(), 1, seconds, lambda: os.close(1))
        child = None
    else:
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert child.stdin is not None
        assert child.stdout is not None
        to = Way(0, child.stdin.fileno(), seconds, child.stdin.close)
        fro = Way(child.stdout.fileno(), 1, seconds, lambda: os.close(1))
    for thread in fro.threads:
        thread.join()
    code = child.wait() if child is not None else 0
    with open(counts, "a") as file:
        file.write(f"{to.count} {fro.count}\n")
    return code


if __name__ == "__main__":
    code = main()
    os._exit(code)  # the other way may still wait for what nobody says any more
