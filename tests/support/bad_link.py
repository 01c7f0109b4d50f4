"""A bad link: what is run in the place of ssh, between an asker and what false_ssh runs for it.

It delays, throttles, cuts and swallows, as a file in JSON says, and writes down what went over it. Both ends see of a
cut what they see when ssh dies: the end of what they read, and nobody who reads what they write.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

UP, DOWN = "up", "down"
WRAPPER = """#!/bin/sh
exec {python} {script} {spec} {ssh} "$@"
"""


class BadLink:
    """A bad link in ``directory``, by way of ``ssh`` (see false_ssh). :attr:`program` is what to run as ssh."""

    def __init__(self, directory: Path, ssh: Path) -> None:
        self.program = directory / "bad-link"
        self._spec, self._told = directory / "link.json", directory / "link.log"
        text = WRAPPER.format(python=sys.executable, script=Path(__file__).resolve(), spec=self._spec, ssh=ssh)
        self.program.write_text(text)
        self.program.chmod(0o755)
        self.set()

    def set(self, **how: float) -> None:
        """How it is from now on: ``delay`` in seconds each way, ``rate`` in bytes a second each way, ``cut_up`` and
        ``cut_down`` after so many bytes, ``swallow`` all that comes down after so many bytes, ``stop`` the far end
        by a signal after so many bytes came down."""
        self._told.unlink(missing_ok=True)
        self._spec.write_text(json.dumps({"log": str(self._told), **how}))

    @property
    def written(self) -> bool:
        """Whether anything has gone over it since it was :meth:`set`."""
        return self._told.exists()

    @property
    def told(self) -> dict[str, Any]:
        """What went over it the last time: bytes ``up`` and ``down``, and ``round_trips``; ``far`` is the group of
        processes at the far end."""
        found: dict[str, Any] = json.loads(self._told.read_text())
        return found


class _Way:
    """One direction: what comes from ``source`` goes to ``target``, later."""

    def __init__(self, link: "_Link", name: str, source: int, target: int) -> None:
        self.link, self.name, self.source, self.target = link, name, source, target
        self.count = 0
        self.limit = link.how.get(f"cut_{name}")
        self.queue: queue.Queue[tuple[float, bytes]] = queue.Queue(16)  # the far end waits, too
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._write)]
        for thread in self.threads:
            thread.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.source, 1 << 14)
            except OSError:
                data = b""
            self.queue.put((time.monotonic() + self.link.how.get("delay", 0), data))
            if not data:
                return

    def _write(self) -> None:
        while True:
            due, data = self.queue.get()
            time.sleep(max(0, due - time.monotonic()))
            if not data:
                os.close(self.target)
                return
            if self.limit is not None:
                data = data[: self.limit - self.count]
            self._put(self.link.passed(self.name, self.count, data))
            self.count += len(data)
            self.link.note(self.name)
            if self.count == self.limit:
                self.link.cut()
            if "rate" in self.link.how:
                time.sleep(len(data) / self.link.how["rate"])

    def _put(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self.target, data) :]
            except OSError:
                self.link.cut()


class _Link:
    def __init__(self, spec: Path, words: list[str]) -> None:
        self.how = json.loads(spec.read_text())
        self._lock = threading.Lock()
        self._events = ""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        if "stop" in self.how:
            pipes["stderr"] = subprocess.DEVNULL  # it will outlive whoever reads ours
        self._child = subprocess.Popen(words, bufsize=0, start_new_session=True, **pipes)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        to, fro = os.dup(self._child.stdin.fileno()), os.dup(self._child.stdout.fileno())
        self._child.stdin.close()
        self._ways: dict[str, _Way] = {}
        with self._lock:
            self._ways = {UP: _Way(self, UP, 0, to), DOWN: _Way(self, DOWN, fro, 1)}

    def passed(self, name: str, count: int, data: bytes) -> bytes:
        """What is let through of what comes after so many bytes: the rest is swallowed."""
        if name == UP:
            return data
        if count >= self.how.get("stop", 1 << 60):
            os.killpg(self._child.pid, signal.SIGSTOP)
        return data[: max(0, self.how.get("swallow", 1 << 60) - count)]

    def note(self, name: str) -> None:
        with self._lock:
            if self._events[-1:] != name[0]:
                self._events += name[0]
            told = {each: way.count for each, way in self._ways.items()}
            told |= {"round_trips": self._events.count("ud"), "far": self._child.pid}
            new = Path(self.how["log"] + ".new")
            new.write_text(json.dumps(told))
            new.replace(self.how["log"])

    def cut(self) -> None:
        os._exit(255)  # all at once, as a link is: the far end finds it out by itself

    def wait(self) -> int:
        for thread in self._ways[DOWN].threads:
            thread.join()
        return self._child.wait()


if __name__ == "__main__":
    os._exit(_Link(Path(sys.argv[1]), sys.argv[2:]).wait())
