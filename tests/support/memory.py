"""How much memory a command takes up, as it sees it itself."""

import os
import subprocess
import sys
from collections.abc import Mapping

_SCRIPT = (
    "import sys; from replican.porcelain._main import run_guarded; code = run_guarded(sys.argv[1:]);"
    "lines = [line.split() for line in open('/proc/self/status')];"
    "print(*[words[1] for words in lines if words[0] == 'VmHWM:'], file=sys.stderr); sys.exit(code)"
)


def peak(folder: str | os.PathLike[str], *words: str, code: int, environment: Mapping[str, str] | None = None) -> int:
    """The most memory (KiB) that a command in ``folder`` takes up, which ends with ``code``.

    What getrusage tells of a child, and wait4, begins with what its parent had when it forked: who asks them measures
    the tests before. So the child looks for itself, at what it has had since its exec.
    """
    call = [sys.executable, "-c", _SCRIPT, *words]
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return int(done.stderr.splitlines()[-1])
