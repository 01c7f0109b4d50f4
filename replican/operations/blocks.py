"""Block lists of content: known ones, or made of what some store has."""

from replican.chunking import LARGE
from replican.effects.block_cache import BlockCache
from replican.effects.blocks import blocks_of_pieces
from replican.effects.forms import BLOB
from replican.operations.reading import BlobReader, named_object
from replican.repository import Repository
from replican.values.blocks import BlockList
from replican.values.errors import NotFoundError
from replican.values.ids import BlobId


def blocks_named(repo: Repository, reader: BlobReader, name: str) -> BlockList:
    """The blocks of the content that ``name`` means: an id, or a ``REF:PATH``.

    Raises ``NotFoundError`` where it is no file's, or no store has it and its list is not known.
    """
    named = named_object(repo, name)
    if named.kind not in (BLOB, None):
        kind = named.kind.decode()
        raise NotFoundError(f"'{name}' is a {kind}, which has no blocks", "name the content of a file")
    return blocks_of(repo, reader, BlobId(named.id), named.path)


def blocks_of(repo: Repository, reader: BlobReader, blob: BlobId, hint: bytes = b"") -> BlockList:
    """The blocks of a content; ``hint`` is a path where it once lay. What had to be cut is known from then on."""
    with BlockCache(repo.block_cache_path) as cache:
        known = cache.get(blob)
        if known is not None:
            return known
        with reader.read(blob, hint) as content:
            blocks = blocks_of_pieces(content.chunks())
        if blocks.size > LARGE:
            cache.put(blob, blocks)
        return blocks
