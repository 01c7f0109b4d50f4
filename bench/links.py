"""Links for the benchmarks: a program in the place of ssh that runs the command right here, and a real sshd.

Both are called as ssh is, by replican and by rsync, and both can be watched: through a relay, which counts what goes
each way, and may hold it up.
"""

import os
import shlex
import sys
import time
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "support"))

from loopback import Loopback, NoSshdError  # noqa: E402  (it stands with the tests, which use it, too)

PIPE = """#!/bin/sh
# [-p PORT] [-l USER] HOST COMMAND
while [ "$1" = -p ] || [ "$1" = -l ]; do shift 2; done
shift
PATH={path}
exec {relay} sh -c "$*"
"""


class Watched:
    """What went over links since the last look: bytes each way."""

    def __init__(self, path: str) -> None:
        self.path = path

    def take(self) -> tuple[int, int]:
        for _ in range(500):  # ssh does not wait for its proxy to end
            if os.path.exists(self.path):
                break
            time.sleep(0.01)
        with open(self.path) as file:
            lines = [line.split() for line in file]
        os.unlink(self.path)
        return sum(int(to) for to, _ in lines), sum(int(fro) for _, fro in lines)


class Links:
    """Programs that reach this machine, made in ``folder``: :attr:`kinds` names them. Close it."""

    def __init__(self, folder: str, program: str) -> None:
        self._folder = folder
        os.makedirs(folder)
        self.watched = Watched(f"{folder}/counts")
        self._sshd: Loopback | None = None
        self._path = f"{os.path.dirname(os.path.abspath(program))}:{os.environ['PATH']}"
        self.kinds = ["pipe"]
        try:
            home = Path(folder, "home")
            home.mkdir()
            self._sshd = Loopback(Path(folder), home, self._path)
            self.kinds.append("sshd")
        except NoSshdError as error:
            print(f"no sshd: {error}", flush=True)

    def close(self) -> None:
        if self._sshd is not None:
            self._sshd.stop()

    def program(self, kind: str, *, watched: bool = False, delay: float | None = None) -> str:
        """The command to be called as ssh is: counted if ``watched``; held up by ``delay`` ms each way."""
        relay = ""
        if watched or delay is not None:
            relay = f"{sys.executable} -I -S {HERE}/relay.py {self.watched.path} {delay or 0}"
        name = f"{kind}-{'plain' if not relay else delay or 0}"
        if kind == "sshd":
            assert self._sshd is not None
            proxy = f' -o "ProxyCommand={relay} tcp {self._sshd.port}"' if relay else ""
            text = f'#!/bin/sh\nexec {self._sshd.command}{proxy} "$@"\n'
        else:
            text = PIPE.format(relay=f"{relay} run" if relay else "", path=shlex.quote(self._path))
        path = f"{self._folder}/{name}"
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    @property
    def host(self) -> str:
        return "there"
