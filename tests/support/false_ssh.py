"""A program in the place of ssh, which runs what it is to run over there right here."""

import sys
from pathlib import Path

SCRIPT = """#!/bin/sh
# [-p PORT] HOST COMMAND, as ssh is called
[ "$1" = -p ] && shift 2
host=$1
shift
case $host in
    unreachable) echo "ssh: no route to $host" >&2; exit 255;;
esac
PATH={bin}:$PATH
cd "$HOME" || exit 1
exec sh -c "$1"
"""


CUT = """
import os, sys
left = int(sys.argv[1])
while left and (data := os.read(0, min(left, 65536))):
    left -= len(data)
    while data:
        data = data[os.write(1, data):]
"""


def cut_after(count: int) -> str:
    """A command that lets so many bytes through, each at once, and then ends."""
    return f"{sys.executable} -c '{CUT}' {count}"


def false_ssh(directory: Path) -> Path:
    """Make it in ``directory``; ``replican`` is then the one beside this interpreter."""
    path = directory / "false-ssh"
    path.write_text(SCRIPT.replace("{bin}", str(Path(sys.executable).parent)))
    path.chmod(0o755)
    return path
