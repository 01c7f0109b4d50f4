"""The whole index, read and compared with itself: for who wants to know, not for who works with it."""

from replican.effects.index import ASIDE, Index, IndexDamagedError
from replican.values.ids import tree_id
from replican.values.paths import join
from replican.values.trees import DIRECTORY, encode_tree


def check_index(index: Index) -> None:
    """Read everything, and raise ``IndexDamagedError`` if anything is not what was written or does not fit."""
    index.check_pages()
    for observed in (False, True):
        known = index.digests(observed)
        for path, (_, tree, _, _, _, _) in known.items():
            if tree == ASIDE:
                continue
            rows = index.rows(path, observed)
            if tree_id(encode_tree([row.entry for row in rows])) != tree:
                raise IndexDamagedError("the index is damaged: a directory has another listing than its tree")
            for row in rows:
                below = known.get(join(path, row.name))
                if row.kind == DIRECTORY and (below is None or below.tree != row.id):
                    raise IndexDamagedError("the index is damaged: a directory lacks its record")
    index.journal()
