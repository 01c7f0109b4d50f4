"""The program at this end of a link: ssh, run as a child, with its input and output as the link.

It is begun as early as can be, and the link is made of it when there is something to say.
"""

import fcntl
import os
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from replican.values.addresses import SshAddress
from replican.values.errors import LinkError

if TYPE_CHECKING:
    from replican.effects.channel import Terms

_PATIENCE_SECONDS: Final = 5.0
_NOT_FOUND: Final = 127
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ, which the module has no name for everywhere
_PIPE_SIZE: Final = 1 << 20


def ssh_words(program: Sequence[str], address: SshAddress, serve: str) -> list[str]:
    """The command that reaches ``address`` by ``program`` and has ``replican serve`` run there.

    ``serve`` is what the shell there takes for ``replican``. Neither host nor path begins with ``-``.
    """
    import shlex

    port = [] if address.port is None else ["-p", str(address.port)]
    return [*program, *port, address.host, f"{serve} serve --stdio --root {shlex.quote(address.path)}"]


def widen(pipe: int) -> None:
    """Let more wait in a pipe than the usual 64 KiB, where the system allows it: who reads is seldom waited for."""
    try:
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_SIZE)
    except OSError:
        pass  # it is none, or others have taken up what one user may have


class Launched:
    """The program, as a child: ``source`` is what it says, ``target`` what it is told. What it writes to stderr goes
    where ours goes. Raises ``LinkError`` where it cannot be run."""

    def __init__(self, words: Sequence[str]) -> None:
        self.program = words[0]
        try:
            self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise LinkError(
                f"cannot run {words[0]}: {why.lower()}", "core.ssh_command names another program"
            ) from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        # These are of our own: the child's are closed, and nobody else closes these.
        self.source, self.target = os.dup(self._child.stdout.fileno()), os.dup(self._child.stdin.fileno())
        self._child.stdout.close()
        self._child.stdin.close()

    def drop(self) -> None:
        """End it: nobody has said anything to it yet, nor will."""
        os.close(self.source)
        os.close(self.target)
        self._child.terminate()
        self.wait()

    def kill(self) -> None:
        """End it at once; it is still to be waited for."""
        self._child.kill()

    def wait(self) -> int:
        """Wait until it has ended, a while, then no longer; how it ended, as Popen tells it."""
        try:
            return self._child.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()


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

    def close(self) -> int:
        """End the link, and wait for the child, a while; how it ended, as Popen tells it."""
        self.channel.close()
        if self.channel.is_dead:  # nor will it notice that
            self._launched.kill()
        return self._launched.wait()

    def why_it_ended(self) -> LinkError:
        """The error for a link of which nothing was heard."""
        code = self.close()
        if code == _NOT_FOUND:
            return LinkError("there is no replican", "remote.<name>.serve_command says where it is over there")
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        return LinkError(f"{os.path.basename(self._launched.program)} {how} before anything was heard", None)
