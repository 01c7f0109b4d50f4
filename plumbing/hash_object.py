"""Print the ids of files: what they are addressed by in the log.

The id of a file is what `git hash-object` prints in a SHA-256 repository. No repository is needed, and nothing is
stored. As with git, a symbolic link stands for the file that it leads to.

Output: one id a line, in the order of the arguments. With --json, a list of objects with "path" and "id"; what
was read from stdin has no "path".

Exit codes: 0 done; 1 no such file; 2 usage; 4 a file could not be read.

    replican hash-object letter.txt
    find . -type f -print0 | replican hash-object --stdin-paths -z
"""

import os
import stat
from collections.abc import Iterator
from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import json_path, quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import FolderError, NotFoundError, UsageError
from replican.values.ids import BlobId, blob_hasher, blob_id

CHUNK = 1 << 20


def hash_file(path: bytes) -> BlobId:
    """The id of the content of the file at ``path``.

    Raises ``NotFoundError`` where there is none, ``FolderError`` where it cannot be read, is no regular file, or
    changes while it is read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"no such file: {quoted(path)}") from None
    except OSError as error:
        raise FolderError(f"cannot read {quoted(path)}: {_reason(error)}") from None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise FolderError(f"not a regular file: {quoted(path)}")
        hasher, left = blob_hasher(status.st_size), status.st_size
        while chunk := os.read(file, CHUNK):
            hasher.update(chunk)
            left -= len(chunk)
    except OSError as error:
        raise FolderError(f"cannot read {quoted(path)}: {_reason(error)}") from None
    finally:
        os.close(file)
    if left:
        raise FolderError(f"changed while it was read: {quoted(path)}")
    return BlobId(hasher.digest())


def command(
    ctx: Context,
    files: Annotated[tuple[str, ...], Argument("FILE", help="files to hash", complete="file")] = (),
    stdin: Annotated[bool, Option("--stdin", help="hash what comes from stdin, before any FILE")] = False,
    stdin_paths: Annotated[bool, Option("--stdin-paths", help="read the names of the files from stdin")] = False,
    nul: Annotated[bool, Option("-z", help="names on stdin end in NUL and are not quoted")] = False,
) -> int | None:
    if stdin_paths and (stdin or files):
        raise UsageError("--stdin-paths goes with neither --stdin nor FILE")
    if nul and not stdin_paths:
        raise UsageError("-z says how --stdin-paths are read, and is of no use without")
    if not (stdin or stdin_paths or files):
        raise UsageError("nothing to hash", "name a FILE, or give --stdin or --stdin-paths")

    def results() -> Iterator[tuple[bytes | None, BlobId]]:
        if stdin:
            yield None, blob_id(ctx.stdin.read())
        for path in ctx.stdin_names(nul=nul) if stdin_paths else map(os.fsencode, files):
            yield path, hash_file(path)

    if ctx.json:
        ctx.emit_all({**({} if path is None else json_path(path)), "id": made.hex()} for path, made in results())
        return None
    for _, made in results():
        ctx.line(made.hex())
        if stdin_paths:
            ctx.flush()
    return None


def _reason(error: OSError) -> str:
    return (error.strerror or "input/output error").lower()
