"""The hooks of a folder: programs in `.replican/hooks`, run with a time limit and with nothing of the folder held open.

What stands there and is not surely the user's own is not run, and that is told. A folder without hooks pays for them
with one look at a directory.
"""

import os
import signal
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from replican.values.errors import ReplicanError
from replican.values.hooks import PRE_MERGE, Kind, note_gate

if TYPE_CHECKING:
    import subprocess

DIRECTORY: Final = "hooks"
_LINE_LIMIT: Final = 4096
_OUTPUT_LIMIT: Final = 1 << 20
_KEPT_LINES: Final = 20
_REASON_LIMIT: Final = 500
_GRACE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05
_LAST_ROUNDS: Final = 64  # of reading, once it has ended


class Found(NamedTuple):
    """What has the name of a hook: its path, and why it is not run, if it is not fit for it. ``off``: its owner has
    switched it off."""

    path: str
    flaw: str | None = None
    off: bool = False


def find_hook(dotdir: str, name: str) -> Found | None:
    """What there is of a hook; None for nothing."""
    directory = f"{dotdir}/{DIRECTORY}"
    path = f"{directory}/{name}"
    try:
        looked = (os.lstat(directory), "its directory"), (os.lstat(path), "it")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Found(path, (error.strerror or str(error)).lower())
    for each, what in looked:
        if stat.S_ISLNK(each.st_mode):
            return Found(path, f"{what} is a link, which is not followed")
        if each.st_uid not in (os.geteuid(), 0):
            return Found(path, f"{what} belongs to another user")
        if each.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return Found(path, f"others may write to {what} (chmod go-w)")
    if not stat.S_ISREG(looked[1][0].st_mode):
        return Found(path, "it is no regular file")
    if not os.access(path, os.X_OK):
        return Found(path, "it is not executable (chmod +x)", off=True)
    return Found(path)


class FolderHooks:
    """The hooks of the folder at ``root``: a :class:`~replican.values.hooks.Hooks`.

    ``seconds`` tells how long one may take; ``environment`` makes the one that it is run in from what is added to it.
    What it writes goes to ``tell`` with its name, line by line, or where that is None to what :meth:`tell_now` returns.
    ``asks_only`` leaves out those that only hear of something: within a hook, lest one calls itself without end.
    """

    def __init__(
        self,
        root: str,
        dotdir: str,
        seconds: Callable[[], float],
        environment: Callable[[Mapping[str, str]], Mapping[str, str]],
        *,
        tell: Callable[[str, str], None] | None = None,
        asks_only: bool = False,
    ) -> None:
        self._root = root
        self._dotdir = dotdir
        self._seconds = seconds
        self._environment = environment
        self._tell = tell
        self._asks_only = asks_only
        self._waiting: list[tuple[str, Sequence[str], bytes]] = []
        self._notes: list[str] = []
        self._closed: dict[str, Kind] = {}
        self._said: set[str] = set()

    def has(self, name: str) -> bool:
        found = find_hook(self._dotdir, name) if name == PRE_MERGE or not self._asks_only else None
        return found is not None and not found.off

    def ask(self, name: str, arguments: Sequence[str], given: bytes = b"") -> str | None:
        found = find_hook(self._dotdir, name)
        if found is not None and found.flaw is not None and not found.off:
            return f"the hook {name} is not run: {found.flaw}"
        before = len(self._notes)
        why = self._run(name, arguments, given)
        if why is None:
            return None
        # Whoever is refused may be elsewhere, and should know the reason.
        said, self._notes[before:] = [note.removeprefix(f"{name}: ") for note in self._notes[before:]], []
        reason = f": {' '.join(' '.join(said).split())[:_REASON_LIMIT]}" if said else ""
        return f"the hook {name} {why}{reason}"

    def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
        if not self._asks_only and find_hook(self._dotdir, name) is not None:
            self._waiting.append((name, arguments, given))

    def tell_now(self) -> list[str]:
        while self._waiting:
            name, arguments, given = self._waiting.pop(0)
            why = self._run(name, arguments, given)
            if why is not None:
                self._notes.append(f"the hook {name} {why}")
        notes, self._notes = self._notes, []
        return notes

    def is_news(self, where: str, kind: Kind | None) -> bool:
        return note_gate(self._closed, where, kind)

    # -- running one --------------------------------------------------------------------------------------------

    def _run(self, name: str, arguments: Sequence[str], given: bytes) -> str | None:
        """Run a hook to its end; None where it did well or there is none, else what is to be told of it."""
        found = find_hook(self._dotdir, name)
        if found is None:
            return None
        if found.flaw is not None:
            if name not in self._said:
                self._said.add(name)
                self._notes.append(f"the hook {name} is not run: {found.flaw}")
            return None
        import subprocess

        added = {"REPLICAN_ROOT": self._root, "REPLICAN_HOOK": name}
        interrupt = _Held()
        try:
            seconds = self._seconds()
            child = subprocess.Popen(
                [found.path, *arguments],
                stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=self._root,
                env=self._environment(added),
                # A group of its own, to be ended with all that it has started.
                start_new_session=True,
            )
        except (OSError, ReplicanError) as error:
            interrupt.release()
            why = error.message if isinstance(error, ReplicanError) else (error.strerror or str(error)).lower()
            return f"cannot be run: {why}"
        output = _Output(lambda line: self._hear(name, line), self._tell is None)
        try:
            interrupt.release()
            in_time = _attend(child, given, seconds, output)
        except BaseException:
            _end(child, 0)
            raise
        if not in_time:
            _end(child, _GRACE_SECONDS)
            return f"took more than {seconds:g} s, and was ended (hooks.timeout)"
        code = child.returncode
        return None if code == 0 else f"ended with {code}" if code > 0 else f"was ended by signal {-code}"

    def _hear(self, name: str, line: str) -> None:
        if self._tell is None:
            self._notes.append(f"{name}: {line}")
        else:
            self._tell(name, line)


class _Held:
    """Has Ctrl-C wait until it is released: between a child's begin and the moment when we know of it, it would be
    left alone with its hook."""

    def __init__(self) -> None:
        self._came = False
        try:
            self._before = signal.signal(signal.SIGINT, self._note) or signal.SIG_DFL
            self._holds = True
        except ValueError:  # signals are another thread's
            self._holds = False

    def _note(self, *_: object) -> None:
        self._came = True

    def release(self) -> None:
        if self._holds:
            self._holds = False
            signal.signal(signal.SIGINT, self._before)
            if self._came:
                signal.raise_signal(signal.SIGINT)


class _Output:
    """What a hook writes, line by line as it comes, and no more than is good: ``few`` lines, if they are kept."""

    def __init__(self, tell: Callable[[str], None], few: bool) -> None:
        self._tell = tell
        self._lines = _KEPT_LINES if few else _OUTPUT_LIMIT
        self._bytes = _OUTPUT_LIMIT
        self._rest = b""
        self._full = False

    def take(self, chunk: bytes) -> None:
        self._bytes -= len(chunk)
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._say(line)
        if len(self._rest) > _LINE_LIMIT or self._bytes < 0:
            self.end()

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        if self._full:
            return
        self._lines -= 1
        self._full = self._lines < 0 or self._bytes < 0
        shown = line[:_LINE_LIMIT].decode("utf-8", "surrogateescape")
        self._tell("(the rest of what it wrote is left out)" if self._full else shown)


def _attend(child: "subprocess.Popen[bytes]", given: bytes, seconds: float, output: _Output) -> bool:
    """Feed a child and hear it until it has ended, and not longer: what it leaves in the background may keep its
    output open. Whether it ended in time."""
    import subprocess

    deadline = time.monotonic() + seconds
    rounds = _LAST_ROUNDS
    with closing(_Pipes(child, given, output)) as pipes:
        while True:
            over = child.poll() is not None
            wait = 0 if over else min(_LOOK_SECONDS, max(0, deadline - time.monotonic()))
            if not over and not pipes.are_open:  # nothing more to hear: its end is near, or it sleeps
                try:
                    child.wait(wait)
                except subprocess.TimeoutExpired:
                    pass
            heard = pipes.turn(wait)
            rounds -= over
            if over and (not heard or not rounds):
                break
            if not over and time.monotonic() >= deadline:
                return False
    _close(child)
    output.end()
    return True


class _Pipes:
    """The pipes of a child, by which it is fed and heard. Close it; a pipe that is still open then stays so."""

    def __init__(self, child: "subprocess.Popen[bytes]", given: bytes, output: _Output) -> None:
        import selectors

        self._child = child
        self._left = memoryview(given)
        self._output = output
        self._selector = selectors.DefaultSelector()
        for pipe, what in ((child.stdout, selectors.EVENT_READ), (child.stdin, selectors.EVENT_WRITE)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, what, pipe)

    def close(self) -> None:
        self._selector.close()

    @property
    def are_open(self) -> bool:
        """Whether there is one left."""
        return bool(self._selector.get_map())

    def turn(self, seconds: float) -> bool:
        """Feed the child and hear it, if that is possible within so many seconds; whether it was."""
        ready = self._selector.select(seconds) if self.are_open else []
        for key, _ in ready:
            try:
                is_done = self._hear(key.fd) if key.data is self._child.stdout else self._feed(key.fd)
            except BlockingIOError:
                continue
            if is_done:
                self._selector.unregister(key.data)
                key.data.close()
        return bool(ready)

    def _hear(self, fd: int) -> bool:
        chunk = os.read(fd, 1 << 16)
        self._output.take(chunk)
        return not chunk

    def _feed(self, fd: int) -> bool:
        try:
            self._left = self._left[os.write(fd, self._left[: 1 << 16]) :]
        except BrokenPipeError:  # it does not want to know
            return True
        return not self._left


def _end(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """End a child and all that it has started."""
    deadline = time.monotonic() + grace
    _signal(child, signal.SIGTERM)
    # It is not reaped before the last signal: until then nobody else can have its number.
    while time.monotonic() < deadline and not _has_ended(child):
        time.sleep(_LOOK_SECONDS)
    _signal(child, signal.SIGKILL)
    child.wait()
    _close(child)


def _signal(child: "subprocess.Popen[bytes]", sign: int) -> None:
    try:
        os.killpg(child.pid, sign)
    except (ProcessLookupError, PermissionError):
        pass


def _has_ended(child: "subprocess.Popen[bytes]") -> bool:
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _close(child: "subprocess.Popen[bytes]") -> None:
    for pipe in (child.stdout, child.stdin):
        if pipe is not None:
            pipe.close()
