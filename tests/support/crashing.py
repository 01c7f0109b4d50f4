"""Runs ``replican`` and kills it at a chosen moment, as a power switch would: just before its Nth change of a file.

    python tests/support/crashing.py N WORDS...

Counted are calls that create, rename, remove or change a file, also those of its worker processes (each for itself);
the whole process group dies. Where fewer than N are made, the command ends as it does.
"""

import os
import signal
import sys
from typing import Any

CHANGES = {
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime",
}  # fmt: skip


def crash_at(number: int) -> None:
    """Kill this process group just before the change of that number."""
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.killpg(0, signal.SIGKILL)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            count()

    def counted(function: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            count()
            return function(*args, **named)

        return call

    from replican.effects import linux, transition

    for module in (linux, transition):  # these rename by a system call that no audit event tells of
        for name in ("exchange", "rename_new"):
            setattr(module, name, counted(getattr(module, name)))
    os.fsync = counted(os.fsync)
    sys.addaudithook(hook)


def main() -> None:
    from replican.porcelain._main import run_guarded

    crash_at(int(sys.argv[1]))
    os._exit(run_guarded(sys.argv[2:]))


if __name__ == "__main__":
    main()
