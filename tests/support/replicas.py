"""Replicas for the tests of commands: made and used within the process of the test."""

import os
from pathlib import Path
from typing import Any

import pytest
from folders import write
from in_process import Ended, InProcess

from replican.values.names import is_copy_name

OLD = 1_600_000_000_000_000_000
"""The time of files at the beginning (ns)."""


class Replicas:
    """Folders below one directory, and the command line: ``run("a", "log")`` runs ``replican -C a log``."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base = base
        monkeypatch.setenv("HOME", str(base / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
        monkeypatch.setenv("TZ", "UTC")
        self._call = InProcess(base)

    def __call__(self, where: str, *words: str | bytes | os.PathLike[str], code: int | None = 0) -> Ended:
        return self._call(*words, cwd=self.base / where, code=code)

    def json(self, where: str, *words: str, code: int | None = 0) -> Any:
        return self(where, "--json", *words, code=code).json()

    def write(self, path: str, content: str | bytes, mtime_ns: int | None = None) -> Path:
        return write(self.base / path, content, mtime_ns)

    def read(self, path: str) -> str:
        return (self.base / path).read_text()

    def clone(self, files: dict[str, str]) -> None:
        """``a`` with ``files``, and ``b``, its clone."""
        for path, content in files.items():
            self.write(f"a/{path}", content, OLD)
        self(".", "clone", "a", "b")

    def conflict(self, path: str = "f", mine: str = "by b", theirs: str = "by a") -> str:
        """Have both edit ``path`` and sync: ``b``'s is the newer. The name of the conflict copy."""
        self.write(f"a/{path}", theirs, OLD + 10**9)
        self.write(f"b/{path}", mine, OLD + 2 * 10**9)
        self("b", "sync")
        (copy,) = [name for name in self.names("b", os.path.dirname(path)) if is_copy_name(name.encode())]
        return copy

    def names(self, where: str, directory: str = "") -> list[str]:
        return sorted(name for name in os.listdir(self.base / where / directory) if name != ".replican")

    def head(self, where: str) -> str:
        return str(self.json(where, "log", "-n", "1")[0]["id"])
