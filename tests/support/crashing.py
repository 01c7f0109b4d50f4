"""Runs ``replican`` and kills it at a chosen moment, as a power switch would: just before its Nth change of a file.

    python tests/support/crashing.py N WORDS...
    python tests/support/crashing.py N@1 WORDS...

Counted are calls that create, rename, remove or change a file, also those of its worker processes (each for itself);
the whole process group dies. Where fewer than N are made, the command ends as it does, and the last line that it
writes to stderr is how many its first process made.

With ``@1`` its workers die, and nothing else (with ``@2`` the workers of a worker): each by itself, just before it
opens or changes a file for the Nth time.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CHANGES = {
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime",
}  # fmt: skip


def crash_at(number: int) -> Callable[[], int]:
    """Kill this process group just before the change of that number. What it returns tells how many were made."""
    made = 0

    def count() -> None:
        nonlocal made
        if made == number:
            os.killpg(0, signal.SIGKILL)
        made += 1

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            count()

    def counted(function: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            count()
            return function(*args, **named)

        return call

    from replican.effects import arrivals, linux, transition

    for module in (linux, transition, arrivals):  # these rename by a system call that no audit event tells of
        for name in ("exchange", "rename_new"):
            if hasattr(module, name):
                setattr(module, name, counted(getattr(module, name)))
    os.fsync = counted(os.fsync)
    sys.addaudithook(hook)
    return lambda: made


def crash_workers_at(number: int, generation: int) -> None:
    """Kill each worker of that generation just before it opens or changes a file for the time of that number."""
    born = made = 0

    def begin() -> None:
        nonlocal born, made
        born, made = born + 1, 0

    def hook(event: str, _: tuple[Any, ...]) -> None:
        nonlocal made
        if born == generation and (event == "open" or event in CHANGES):
            if made == number:
                os.kill(os.getpid(), signal.SIGKILL)
            made += 1

    os.register_at_fork(after_in_child=begin)
    sys.addaudithook(hook)


def main() -> None:
    sys.dont_write_bytecode = True  # which would be counted, too, but in the first run only
    from replican.porcelain._main import run_guarded

    number, _, generation = sys.argv[1].partition("@")
    if generation:
        crash_workers_at(int(number), int(generation))
        os._exit(run_guarded(sys.argv[2:]))
    made = crash_at(int(number))
    code = run_guarded(sys.argv[2:])
    sys.stdout.flush()
    print(made(), file=sys.stderr, flush=True)
    os._exit(code)


if __name__ == "__main__":
    main()
