"""List the blocks of a file: what a transfer compares, so that only what is new is sent.

FILE is a file on the disk; no repository is needed. What is none is taken for an ID: an id, or REF:PATH, whose content
comes from whichever store has it. Behind "--" it is always a FILE. Blocks are cut by what is in them (FastCDC of 2020,
64 KiB on average), so an edit changes those around it only.

Output: for each block its offset and its length in bytes, and its xxh3_128 in hex; with -z, lines end in NUL. With
--json, a list of objects with "offset", "length" and "xxh3_128".

Exit codes: 0 done; 1 no such file or object, or no store that can be reached has the content; 4 a file could not be
read.

    replican cat-blocks disk.img
    replican cat-blocks HEAD:disk.img | awk '{ print $3 }' | sort | uniq -d
"""

import os
import stat
from typing import Annotated

from replican.plumbing._front.context import Context
from replican.plumbing._front.output import quoted
from replican.plumbing._front.params import Argument, Option
from replican.values.blocks import BlockList
from replican.values.errors import FolderError, NoRepositoryError, NotFoundError


def blocks_of_file(path: bytes) -> BlockList | None:
    """The blocks of the file at ``path``, to which a link may lead; None where there is nothing.

    Raises ``FolderError`` where it cannot be read, is no regular file, or changes while it is read.
    """
    from replican.effects.blocks import read_blocks

    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FolderError(f"cannot read {quoted(path)}: {(error.strerror or '').lower()}") from None
    try:
        before = os.fstat(file)
        if not stat.S_ISREG(before.st_mode):
            raise FolderError(f"not a regular file: {quoted(path)}")
        blocks = read_blocks(file, before.st_size)
        after = os.fstat(file)
    finally:
        os.close(file)
    if (before.st_size, before.st_mtime_ns, before.st_ctime_ns) != (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    ):
        raise FolderError(f"changed while it was read: {quoted(path)}")
    if blocks is None:
        raise FolderError(f"cannot read {quoted(path)}: an input/output error, or it is too large to have a list")
    return blocks


def blocks_of_name(ctx: Context, name: str) -> BlockList:
    """The blocks of what is no file here; raises ``NotFoundError``."""
    try:
        repo = ctx.repository()
    except NoRepositoryError:
        raise NotFoundError(f"no such file: {quoted(os.fsencode(name))}", "for an ID, a replica is needed") from None
    from replican.operations.blocks import blocks_named
    from replican.operations.reading import BlobReader

    with BlobReader(repo) as reader:
        return blocks_named(repo, reader, name)


def command(
    ctx: Context,
    name: Annotated[str, Argument("FILE|ID", help="the file, or the id of its content", complete="file")],
    nul: Annotated[bool, Option("-z", help="end lines with NUL")] = False,
) -> int | None:
    blocks = blocks_of_file(os.fsencode(name))
    if blocks is None and ctx.after_dashes:
        raise NotFoundError(f"no such file: {quoted(os.fsencode(name))}")
    if blocks is None:
        blocks = blocks_of_name(ctx, name)
    if ctx.json:
        ctx.emit_all({"offset": offset, "length": length, "xxh3_128": hash.hex()} for offset, length, hash in blocks)
        return None
    for offset, length, hash in blocks:
        ctx.line(f"{offset} {length} {hash.hex()}", b"\0" if nul else b"\n")
    return None
