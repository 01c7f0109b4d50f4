"""What a command shows to somebody who sits at a terminal."""

import fcntl
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "replican")


def on_terminals(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a terminal, which has a width of its own: who runs tests side by side sets another."""
    kept = dict(os.environ if environment is None else environment)
    kept.pop("COLUMNS", None)
    return {**kept, "TERM": "xterm", "LC_ALL": "C.UTF-8", "PAGER": "cat", "REPLICAN_PAGER": "cat"}


def on_a_terminal(
    folder: str | os.PathLike[str],
    *words: str | bytes,
    environment: Mapping[str, str] | None = None,
    columns: int = 200,
) -> str:
    """All that ``replican`` writes to a terminal of so many columns, results and talk together, and ends by itself."""
    own, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    begun = subprocess.Popen(
        [PROGRAM, *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=other,
        stderr=other,
        env=on_terminals(environment),
    )
    os.close(other)
    shown = b""
    try:
        while piece := os.read(own, 1 << 16):
            shown += piece
    except OSError:  # its end has been closed
        pass
    os.close(own)
    assert begun.wait(60) in (0, 1, 2, 3, 4, 5, 6, 8), shown
    return shown.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
