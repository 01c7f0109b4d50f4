"""Watches that run: real processes, whose events are read, and which end with the test."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LARGE = 64 << 30  # bytes: minutes of hashing; it is sparse, and takes up nothing
PATIENCE = 30.0  # seconds: far more than anything here takes

Event = dict[str, Any]


class Watch:
    """A `replican watch --json` of one folder."""

    def __init__(
        self, root: Path, *options: str, environment: dict[str, str] | None = None, under: Sequence[str] = ()
    ) -> None:
        self.root = root
        self.events: list[Event] = []
        self.seen = 0
        """So many of them has the test been through."""
        self._rest = b""
        words = [*under, str(Path(sys.executable).parent / "replican"), "-C", str(root), "watch", "--json", *options]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self, seconds: float = 0.0) -> None:
        """Take in what it says within so many seconds, up to the first."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return
        data = os.read(self.process.stdout.fileno(), 1 << 20)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        if not data:
            time.sleep(min(seconds, 0.01))

    def wait(self, kind: str, after: int = 0, **fields: object) -> Event:
        """The first event of that kind, with these fields, of those from ``after`` on."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for event in self.events[after:]:
                if event["kind"] == kind and all(event[name] == value for name, value in fields.items()):
                    return event
            if self.process.poll() is not None:
                self.read(0.1)
                break
            self.read(0.05)
        raise AssertionError(f"no {kind} {fields} of {self.root.name}: {self.events[after:]} {self._complaints()}")

    def kinds(self) -> list[str]:
        self.read()
        return [event["kind"] for event in self.events]

    def _complaints(self) -> str:
        if self.process.poll() is None or self.process.stderr is None:
            return ""
        return self.process.stderr.read().decode()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Have it end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.kill()
        return self.process.returncode

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.read()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def watching(*roots: Path) -> Iterator[list[Watch]]:
    """Watches of these folders, live."""
    watches: list[Watch] = []
    try:
        for root in roots:  # one after the other: else one might look after a folder whose own watch is not there yet
            watches.append(Watch(root))
            watches[-1].wait("live")
        yield watches
    finally:
        for watch in watches:
            if watch.process.poll() is None:
                watch.stop()  # with its couriers: nothing of it is busy in the folder any more
            watch.kill()


def eventually(holds: Callable[[], bool], what: str = "it") -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.01)


def holds(path: Path, content: str) -> bool:
    try:
        return path.read_text() == content
    except (FileNotFoundError, NotADirectoryError):
        return False


def descendants(pid: int) -> set[int]:
    """The processes that this one began, and those that they began."""
    parents: dict[int, int] = {}
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(each)] = int(fields[1])
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def reads(pid: int, path: Path) -> bool:
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == str(path) for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def large(path: Path, size: int = LARGE) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path
