"""The command line within the process of the test: much faster than one of its own."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from replican.porcelain._main import run_guarded


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def line(self) -> str:
        """The one line that was written."""
        (only,) = self.lines
        return only

    def json(self) -> Any:
        return json.loads(self.out)


class InProcess:
    """Runs ``replican`` in ``root``, unless ``cwd`` says otherwise, and expects the exit code ``code`` (None: any)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(
        self,
        *words: str | bytes | os.PathLike[str],
        stdin: bytes = b"",
        cwd: str | os.PathLike[str] | None = None,
        code: int | None = 0,
    ) -> Ended:
        streams, before = (sys.stdin, sys.stdout, sys.stderr), os.getcwd()
        out, err = io.BytesIO(), io.BytesIO()
        os.chdir(self.root if cwd is None else cwd)
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        sys.stdout, sys.stderr = io.TextIOWrapper(out), io.TextIOWrapper(err)
        try:
            ended = run_guarded([os.fsdecode(word) for word in words])
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                stream.detach()  # or it would close what it wrote to
            sys.stdin, sys.stdout, sys.stderr = streams
            os.chdir(before)
        result = Ended(ended, out.getvalue(), err.getvalue().decode("utf-8", "surrogateescape"))
        assert code is None or ended == code, f"exit code {ended} for {words}\n{result.text}\n{result.err}"
        assert "this is a bug" not in result.err, result.err
        return result
