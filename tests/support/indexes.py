"""Records of a small folder, to fill an index with."""

from replican.effects.assemble import chain
from replican.effects.index import Index
from replican.effects.index_check import check_index
from replican.values.ids import CheckpointId, TreeId, blob_id
from replican.values.listing import Row
from replican.values.trees import DIRECTORY, FILE, LINK

ZEROS = bytes(32)
ONE, TWO = CheckpointId(b"1" * 32), CheckpointId(b"2" * 32)


def file(name: bytes, content: bytes = b"content", kind: bytes = FILE) -> Row:
    perm = 0o777 if kind == LINK else 0o644
    return Row(name, kind, perm, len(content), 5, blob_id(content), perm, 5, 7, 1)


def directory(name: bytes, ino: int = 9) -> Row:
    return Row(name, DIRECTORY, 0o755, 0, 0, ZEROS, 0o755, 0, 0, ino)


FOLDER = {
    b"": [directory(b"a"), directory(b"c"), file(b"top", b"top")],
    b"a": [directory(b"b"), file(b"x", b"x")],
    b"a/b": [file(b"y", b"y")],
    b"c": [directory(b"d"), file(b"l", b"target", LINK)],
    b"c/d": [file(b"z", b"y")],
}


def put(index: Index, changes: dict[bytes, list[Row] | None], observed: bool = True) -> TreeId:
    made = chain(index, changes, observed=observed)
    if observed:
        index.observe(made.changed.values(), made.gone, made.root)
    else:
        index.rebase(made.changed.values(), made.gone, made.root)
    return made.root


def fill(index: Index) -> TreeId:
    root = put(index, {**FOLDER}, observed=False)
    check_index(index)
    return root


def everything(index: Index, observed: bool) -> dict[bytes, list[Row]]:
    return {path: index.rows(path, observed) for path in index.digests(observed)}


def totals(index: Index, observed: bool = True) -> tuple[int, int]:
    """How many files and links the folder has, and their bytes."""
    known = index.digests(observed).values()
    files, size = sum(each.files for each in known), sum(each.size for each in known)
    if not observed:
        assert index.count_files() == files
    return files, size
