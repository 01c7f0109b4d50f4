"""The program at this end of a link: ssh, run as a child, with its input and output as the link.

It is begun as early as can be, and the link is made of it when there is something to say. What it says to people goes
where ours goes, by a pipe of our own: an ssh that others share (a *master*) outlives its work here, and whoever waits
for the end of our output is not to wait for that.
"""

import fcntl
import os
import select
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from replican.values.addresses import SshAddress
from replican.values.errors import LinkError
from replican.values.quoting import show_told

if TYPE_CHECKING:
    from replican.effects.channel import Terms

_PATIENCE_SECONDS: Final = 5.0
_MOMENT_SECONDS: Final = 0.1
_NOT_RUNNABLE: Final = 126
_NOT_FOUND: Final = 127
_NO_WAY: Final = 255
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ, which the module has no name for everywhere
_PIPE_SIZE: Final = 1 << 20
_KEPT: Final = 4096
_STDERR: Final = 2
_SERVE_COMMAND: Final = "remote.<name>.serve_command (for a clone: --serve-command) says what is run there"
_WHAT_HELPS: Final = (
    ("Permission denied (", "the other side takes none of the keys that were offered: is it in authorized_keys there?"),
    ("Host key verification failed", "it is another machine than before, or one never met: find out which"),
    ("Could not resolve hostname", "is the name right, and the network there?"),
    ("Connection refused", "is the address right, port and all, and does sshd run there?"),
    ("timed out", "is the machine on, and the network there?"),
    ("No route to host", "is the machine on, and the network there?"),
)
"""What ssh says where there is no way in, and what to do about it."""

_left: "list[subprocess.Popen[bytes]]" = []
"""Those that were not waited for any longer."""


class _Ties:
    """Whether what is launched ends with this process, and whether that is about to end."""

    bound = False
    ending = False


@contextmanager
def bound() -> Iterator[None]:
    """What is launched meanwhile ends with this process, where the system has a way to have that so: an ssh over a dead
    link hears of nothing. Else one may go on for others, by its connection."""
    _Ties.bound = True
    try:
        yield
    finally:
        _Ties.bound = False


def _tie() -> Callable[[], None]:
    from replican.effects.linux import end_with

    return partial(end_with, os.getpid(), signal.SIGKILL)


@contextmanager
def ending() -> Iterator[None]:
    """This process is about to end: what it has launched has a moment, when its link is closed, and is ended."""
    _Ties.ending = True
    try:
        yield
    finally:
        _Ties.ending = False
        for child in _left:
            _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a child, with all that it has begun, such as the program of a proxy: by itself, asked to, or by force."""
    from replican.effects.linux import descendants

    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            for pid in (*descendants(child.pid), child.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_MOMENT_SECONDS)
            return


def ssh_words(program: Sequence[str], address: SshAddress, serve: str) -> list[str]:
    """The command that reaches ``address`` by ``program`` and has ``replican serve`` run there.

    ``serve`` is what the shell there takes for ``replican``. Neither host nor path begins with ``-``.
    """
    port = [] if address.port is None else ["-p", str(address.port)]
    return [*program, *port, address.host, f"{serve} serve --stdio --root {shlex.quote(address.path)}"]


def widen(pipe: int) -> None:
    """Let more wait in a pipe than the usual 64 KiB, where the system allows it: who reads is seldom waited for."""
    try:
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_SIZE)
    except OSError:
        pass  # it is none, or others have taken up what one user may have


_HINT: Final = "hint: "


class _Overhearing:
    """Passes on to our stderr what a child writes to ``target``, at once, and keeps the end of it. :meth:`end` it."""

    def __init__(self) -> None:
        self._source, self.target = os.pipe()
        self._ended, self._ends = os.pipe()
        self._kept = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begun(self) -> None:
        """The child has it."""
        os.close(self.target)

    def end(self) -> None:
        """Pass on what was written until now, and no more."""
        if self._ends < 0:
            return
        os.close(self._ends)
        self._ends = -1
        self._thread.join(_PATIENCE_SECONDS)
        if not self._thread.is_alive():  # else nobody reads what we say
            os.close(self._source)
            os.close(self._ended)

    def last_words(self) -> tuple[str, str | None]:
        """What was said last, fit to be told in a line; and the hint behind it, if it was a replican that said so."""
        lines = [line.strip() for line in self._kept.decode("utf-8", "replace").split("\n") if line.strip()]
        hint = None
        while lines and lines[-1].startswith(_HINT):
            hint = show_told(lines.pop().removeprefix(_HINT))
        return show_told(lines[-1].removeprefix("replican: ")) if lines else "", hint

    def _run(self) -> None:
        poll = select.poll()
        for fd in (self._source, self._ended):
            poll.register(fd, select.POLLIN)
        ready: dict[int, int] = {}
        while self._ended not in ready or self._source in ready:
            ready = dict(poll.poll())
            if self._source in ready:
                data = os.read(self._source, 1 << 16)
                if not data:
                    break
                self._kept = (self._kept + data)[-_KEPT:]
                with suppress(OSError):  # nobody hears us
                    while data:
                        data = data[os.write(_STDERR, data) :]


class Launched:
    """The program, as a child: ``source`` is what it says, ``target`` what it is told. What it writes to stderr goes
    where ours goes. Raises ``LinkError`` where it cannot be run."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        _left[:] = [child for child in _left if child.poll() is None]
        self._overhearing = _Overhearing()
        pipe = subprocess.PIPE
        try:
            self._child = subprocess.Popen(
                words,
                stdin=pipe,
                stdout=pipe,
                stderr=self._overhearing.target,
                bufsize=0,
                preexec_fn=_tie() if _Ties.bound else None,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise LinkError(
                f"cannot run {words[0]}: {why.lower()}",
                "core.ssh_command names the program, with its options; REPLICAN_SSH a program alone",
            ) from error
        finally:
            self._overhearing.begun()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        # These are of our own: the child's are closed, and nobody else closes these.
        self.source, self.target = os.dup(self._child.stdout.fileno()), os.dup(self._child.stdin.fileno())
        self._child.stdout.close()
        self._child.stdin.close()
        self._is_left = False

    def drop(self) -> None:
        """End it: nobody has said anything to it yet, nor will."""
        os.close(self.source)
        os.close(self.target)
        self._child.terminate()
        self.wait()

    def kill(self) -> None:
        """End it at once; it is still to be waited for."""
        self._child.kill()

    def wait(self) -> int | None:
        """Wait until it has ended, a while, then no longer; how it ended, as Popen tells it. None where it goes on: by
        its connection others may reach the same machine."""
        try:
            if _Ties.ending:
                _end(self._child)
            return self._child.wait(0 if self._is_left else _PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            if not self._is_left:
                self._is_left = True
                _left.append(self._child)
            return None
        finally:
            self._overhearing.end()

    def why_it_ended(self) -> LinkError:
        """The error for one of which nothing was heard."""
        program = os.path.basename(self.words[0])
        code, (said, hint_there) = self.wait(), self._overhearing.last_words()
        said = said.removeprefix(f"{program}: ")
        if code == _NOT_FOUND:
            return LinkError("there is no replican", f"is it installed there? {_SERVE_COMMAND}")
        if code == _NOT_RUNNABLE:
            return LinkError(f"what is there for replican cannot be run: {said}", _SERVE_COMMAND)
        if code == _NO_WAY:
            known = next((help for words, help in _WHAT_HELPS if words in said), None)
            by_hand = f"`{shlex.join(self.words[:-1])}` has to work without a question"
            hint = f"{by_hand}; it tells more" if known is None else f"{known}\n{by_hand}"
            return LinkError(f"{program} ended with {code}" + (f": {said.rstrip('.')}" if said else ""), hint)
        how = "goes on" if code is None else f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        return LinkError(f"{program} {how} before anything was heard" + (f": {said}" if said else ""), hint_there)


class Link:
    """A child and the channel to it, which takes over the child's descriptors. Close it."""

    def __init__(self, launched: Launched, terms: "Terms | None" = None) -> None:
        from replican.effects.channel import DEFAULT_TERMS, Channel

        self._launched = launched
        terms = terms or DEFAULT_TERMS
        if not terms.rate:  # else what waits there has come too early
            widen(launched.source)
            widen(launched.target)
        self.channel = Channel(launched.source, launched.target, terms)

    def close(self) -> None:
        """End the link, and wait for the child, a while."""
        self.channel.close()
        if self.channel.is_dead:  # nor will it notice that
            self._launched.kill()
        self._launched.wait()

    def why_it_ended(self) -> LinkError:
        """The error for a link of which nothing was heard."""
        self.close()
        return self._launched.why_it_ended()
