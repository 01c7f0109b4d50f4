"""What a command is given: how it was called, the repository, and where its results and its talk go."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from replican.plumbing._front import output
from replican.values.errors import FolderError, NoRepositoryError, UsageError

if TYPE_CHECKING:
    from replican.repository import Repository
    from replican.values.progress import Progress

DEFAULT_WAIT = 10.0


class Context:
    """How a command was called (global options), and its way to the outside.

    ``json`` is true for ``--jsonl`` too; ``jsonl`` asks for one value a line. ``wait`` is in seconds. Where a command
    stands is the process's working directory: ``-C`` has been carried out before it runs. ``after_dashes`` counts the
    arguments that stood after ``--``: where names and paths mix, these are paths.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        jsonl: bool = False,
        quiet: bool = False,
        progress: bool = True,
        wait: float = DEFAULT_WAIT,
        after_dashes: int = 0,
    ) -> None:
        self.json = json or jsonl
        self.jsonl = jsonl
        self.quiet = quiet
        self.progress = progress
        self.wait = wait
        self.after_dashes = after_dashes
        self._root: str | None = None
        self._repository: Repository | None = None
        self._sink: Progress | None = None

    # Where it stands

    @property
    def directory(self) -> str:
        """The working directory, absolute; raises ``NoRepositoryError`` where it has been removed."""
        try:
            return os.getcwd()
        except FileNotFoundError:
            raise NoRepositoryError("the current folder is gone") from None

    @property
    def root(self) -> str:
        """The root of the replica that the working directory lies in; raises ``NoRepositoryError``."""
        if self._root is None:
            from replican.effects.roots import find_root

            self._root = find_root(self.directory)
        return self._root

    def repository(self) -> "Repository":
        """The repository that the working directory lies in, opened at the first call and kept."""
        if self._repository is None:
            from replican.repository import Repository

            self._repository = Repository(self.root, wait=self.wait, progress=self.sink())
            self._repository.run_hooks(lambda name, line: output.say(f"{name}: {line}"))
        return self._repository

    def sink(self) -> "Progress":
        """Where long work reports its progress: the terminal, or nowhere."""
        if self._sink is None:
            if self.progress and not self.quiet and sys.stderr is not None and sys.stderr.isatty():
                from replican.plumbing._front.progress import TerminalProgress

                self._sink = TerminalProgress(sys.stderr)
            else:
                from replican.values.progress import Silent

                self._sink = Silent()
        return self._sink

    def path(self, argument: str) -> bytes:
        """The root-relative path that a porcelain argument means, from where it was typed.

        It need not exist, and its last part is not followed if it is a link. Raises ``UsageError`` for a path outside
        the folder or inside its ``.replican``.
        """
        root = self.repository().root
        full = os.path.normpath(os.path.join(self.directory, argument))
        found = _below(full, root)
        if found is None:  # perhaps there by another name: through a link above the folder
            found = _below(os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full)), root)
        if found is None:
            raise UsageError(f"'{argument}' is outside the folder '{root}'")
        return plumbing_path(found)

    def close(self) -> None:
        """Say what the repository has to tell, and close it; nothing, if it was not opened."""
        if self._repository is not None:
            for note in self._repository.notes:
                self.say(f"replican: {note}")
            self._repository.close()
            self._repository = None

    # Results

    def out(self, result: str | bytes) -> None:
        """Write to stdout as it is. Control characters of a ``str`` are escaped on a terminal; ``bytes`` never are."""
        output.write(result)

    def line(self, result: str | bytes, end: bytes = b"\n") -> None:
        """Write a result and a line end (or NUL: ``end``)."""
        output.write(result)
        output.write(end)

    def path_line(self, path: bytes, *, nul: bool = False) -> None:
        """Write a path: C-quoted where that is needed and with a line end, or as it is, with a NUL."""
        output.write(path + b"\0" if nul else output.quoted(path) + "\n")

    def emit(self, value: Any) -> None:
        """Write one result as JSON. Paths go through ``output.json_path``, ids are given in hex."""
        output.write_json(value)

    def emit_all(self, values: Iterable[Any]) -> None:
        """Write a list as JSON while it comes, one element a line: in brackets, or bare with ``--jsonl``."""
        output.write_json_list(values, bare=self.jsonl)

    def formatter(self, template: str, fields: Iterable[str], *, nul: bool = False) -> output.Format:
        """``--format``: see :class:`output.Format`. Raises ``UsageError`` for an unknown field."""
        return output.Format(template, frozenset(fields), nul=nul)

    def flush(self) -> None:
        """Let a reader at the other end of the pipe have what was written so far."""
        output.flush()

    # Talk

    def say(self, text: str) -> None:
        """Talk to the user, on stderr, unless they want none of it. Control characters are escaped."""
        if not self.quiet:
            output.say(text)

    def warn(self, text: str) -> None:
        """Say what went wrong without being the end of the command: ``--quiet`` does not silence it."""
        output.say(f"replican: {text}")

    # Input

    @property
    def stdin(self) -> IO[bytes]:
        """Standard input, in bytes."""
        return sys.stdin.buffer

    def stdin_lines(self, *, nul: bool = False) -> Iterator[bytes]:
        """The lines of standard input as they come, or what ends in NUL; without their ends."""
        return output.split_stream(self.stdin, b"\0" if nul else b"\n")

    def stdin_names(self, *, nul: bool = False) -> Iterator[bytes]:
        """Names of files anywhere from standard input, as :meth:`stdin_lines`; C-quoted ones are unquoted."""
        from replican.values.quoting import unquote

        for line in self.stdin_lines(nul=nul):
            if line:
                yield line if nul or line[:1] != b'"' else unquote(line.decode("utf-8", "surrogateescape"))

    def stdin_batches(self, *, nul: bool = False) -> Iterator[list[bytes]]:
        """Root-relative paths from standard input, read as :meth:`stdin_names` reads them, as many together as come
        without a pause: for who goes on reading from a program that goes on writing. What is replican's own is passed
        over.

        Raises ``UsageError`` for what is no such path.
        """
        from replican.plumbing._front.batches import batches
        from replican.values.quoting import unquote

        for lines in batches(self.stdin, b"\0" if nul else b"\n"):
            plain = [line if nul or line[:1] != b'"' else unquote(os.fsdecode(line)) for line in lines if line]
            yield [plumbing_path(path) for path in plain if not is_ours(path)]


def plumbing_path(argument: str | bytes) -> bytes:
    """The path that a plumbing command was given, which is root-relative: ``.`` and a slash at the end are dropped.

    Raises ``UsageError`` for what cannot be a path below a root.
    """
    path = os.fsencode(argument) if isinstance(argument, str) else argument
    parts = _parts_of(path)
    if path[:1] == b"/" or b".." in parts or b"\0" in path:
        raise UsageError(f"{output.quoted(path)} is not a path below the folder", "paths here are relative to its root")
    if parts and parts[0] == b".replican":
        raise UsageError(f"{output.quoted(path)} is replican's own")
    return b"/".join(parts)


def is_ours(name: bytes) -> bool:
    """Whether a name that somebody's listing of the folder has is replican's own: who reads it passes it over."""
    parts = _parts_of(name)
    return parts[:1] == [b".replican"] and b".." not in parts


def _parts_of(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def change_directory(where: str) -> None:
    """Carry out ``-C``."""
    try:
        os.chdir(where)
    except (FileNotFoundError, NotADirectoryError):
        raise NoRepositoryError(f"no such folder: '{where}'") from None
    except PermissionError:
        raise FolderError(f"cannot change to '{where}': permission denied") from None


def _below(path: str, root: str) -> str | None:
    if path == root:
        return ""
    inside = root.rstrip("/") + "/"
    return path[len(inside) :] if path.startswith(inside) else None
