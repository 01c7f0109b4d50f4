"""reconcile, row by row: what a user may rely on. The language of the rows is that of tests/support/tiny_trees.py."""

from typing import NamedTuple

import pytest
from tiny_trees import MemoryTrees, parse, show

from replican.decisions.reconcile import reconcile


class Row(NamedTuple):
    what: str
    base: str
    left: str
    right: str
    merged: str
    conflicts: str = ""


ROWS = [
    # -- one side, or both alike
    Row("nothing anywhere", "", "", "", ""),
    Row("nothing changed", "a=1 d/b=2", "a=1 d/b=2", "a=1 d/b=2", "a=1 d/b=2"),
    Row("a new file on one side", "", "a=1", "", "a=1"),
    Row("the same new file on both", "", "a=1@3", "a=1@3", "a=1@3"),
    Row("an edit on one side", "a=1@1", "a=2@2", "a=1@1", "a=2@2"),
    Row("an edit back in time on one side", "a=1@9", "a=2@2", "a=1@9", "a=2@2"),
    Row("the same edit on both", "a=1@1", "a=2@2", "a=2@2", "a=2@2"),
    Row("a deletion on one side", "a=1 b=2", "b=2", "a=1 b=2", "b=2"),
    Row("the same deletion on both", "a=1 b=2", "b=2", "b=2", "b=2"),
    Row("the last file goes", "a=1", "", "a=1", ""),
    Row("edits of different files", "a=1 b=1", "a=2@1 b=1", "a=1 b=3@1", "a=2@1 b=3@1"),
    Row("edits of different files in one directory", "d/a=1 d/b=1", "d/a=2 d/b=1", "d/a=1 d/b=3", "d/a=2 d/b=3"),
    Row("new files of different names", "", "a=1", "b=2", "a=1 b=2"),
    Row("a deletion and a new file", "a=1", "", "a=1 b=2", "b=2"),
    Row("a link's new target on one side", "l>x", "l>y@2", "l>x", "l>y@2"),
    # -- versions against each other
    Row("different edits", "a=1", "a=2@5", "a=3@4", "a=2@5 a~3@4", "a"),
    Row("different edits below", "d/e/a=1", "d/e/a=2@5", "d/e/a=3@4", "d/e/a=2@5 d/e/a~3@4", "d/e/a"),
    Row("different new files", "", "a=2@5", "a=3@4", "a=2@5 a~3@4", "a"),
    Row("different new files with an extension", "", "a.txt=2@5", "a.txt=3@4", "a.txt=2@5 a.txt~3@4", "a.txt"),
    Row("two edits of the same time: the greater content id", "", "a=2@5", "a=3@5", "a=3@5 a~2@5", "a"),
    Row("edit and deletion", "a=1", "a=2@5", "", "a=2@5"),
    Row("edit and deletion, the edit older than the base", "a=1@9", "a=2@5", "", "a=2@5"),
    Row("a file replaced by a link, and its deletion", "a=1", "a>x@1", "", "a>x@1"),
    Row("a file replaced by a link, and an edit", "a=1", "a>x@6", "a=2@5", "a>x@6 a~2@5", "a"),
    Row("a file and a link of equal bytes", "", "a=x@5", "a>x@4", "a=x@5 a~x>x@4", "a"),
    Row("different targets of a link", "l>x", "l>y@1", "l>z@2", "l>z@2 l~y>y@1", "l"),
    Row("one side goes back to what the other had edited", "a=1", "a=1@7", "a=2@5", "a=2@5"),
    Row("both delete, one makes another", "a=1", "", "a=2@3", "a=2@3"),
    # -- renames are a deletion and an addition
    Row("rename and edit", "a=1", "b=1", "a=2@5", "a=2@5 b=1"),
    Row("rename and deletion", "a=1", "b=1", "", "b=1"),
    Row("rename to different names", "a=1", "b=1", "c=1", "b=1 c=1"),
    Row("the same rename", "a=1", "b=1", "b=1", "b=1"),
    Row("rename onto a name that the other side made", "a=1@1", "b=1@1", "a=1@1 b=2@2", "b=2@2 b~1@1", "b"),
    Row("two names change places, and one is edited", "a=1 b=2", "a=2 b=1", "a=3@9 b=2", "a=3@9 a~2 b=1", "a"),
    Row("a directory renamed, a file in it edited", "d/a=1 d/b=1", "e/a=1 e/b=1",
        "d/a=2@5 d/b=1", "d/a=2@5 e/a=1 e/b=1"),
    Row("a directory renamed, a file put into it", "d/a=1", "e/a=1", "d/a=1 d/n=2", "d/n=2 e/a=1"),
    # -- attributes
    Row("chmod on one side", "a=1", "a=1:600", "a=1", "a=1:600"),
    Row("chmod to more on one side", "a=1:600", "a=1:755", "a=1:600", "a=1:755"),
    Row("chmod on both: what both allow", "a=1:644", "a=1:755", "a=1:640", "a=1:640"),
    Row("chmod on both: what both allow may be less than either", "a=1:644", "a=1:750", "a=1:705", "a=1:700"),
    Row("touch on one side", "a=1@5", "a=1@9", "a=1@5", "a=1@9"),
    Row("touch back in time on one side", "a=1@5", "a=1@2", "a=1@5", "a=1@2"),
    Row("touch on both: the newer", "a=1@5", "a=1@9", "a=1@7", "a=1@9"),
    Row("touch on both to older: the newer of them", "a=1@9", "a=1@2", "a=1@4", "a=1@4"),
    Row("touch here, chmod there: both", "a=1@5", "a=1@9", "a=1@5:600", "a=1@9:600"),
    Row("touch here, chmod to more there: both", "a=1@5", "a=1@9", "a=1@5:755", "a=1@9:755"),
    Row("the same new bytes with other attributes", "", "a=1@5:755", "a=1@9:700", "a=1@9:700"),
    Row("the same edit with other attributes", "a=0@9", "a=1@5:640", "a=1@4:604", "a=1@5:600"),
    Row("chmod and edit: the edit", "a=1", "a=1:600", "a=2@5", "a=2@5"),
    Row("chmod does not outlive a deletion", "a=1 b=1", "a=1:600 b=1", "b=1", "b=1"),
    Row("touch does not outlive a deletion", "a=1 b=1", "a=1@99 b=1", "b=1", "b=1"),
    Row("bytes written again do not outlive a deletion", "a=1@1", "a=1@2", "", ""),
    Row("a link's time alone", "l>x", "l>x@4", "l>x@2", "l>x@4"),
    Row("a touch decides who takes the name", "a=2@5 a~1@4", "a=2@5 a~1@4=1@9", "a=2@5 a~1@4 b=1",
        "a=2@5 a~1@4=1@9 b=1"),
    Row("touches on both sides decide who takes the name", "a=2@5 a~1@4", "a=2@5 a~1@4=1@9", "a=2@6 a~1@4",
        "a=1@9 a~2@6", "a"),
    # -- directories
    Row("an empty directory on one side", "", "d/", "", "d/"),
    Row("an empty directory on both", "", "d/", "d/", "d/"),
    Row("an empty directory removed", "d/ a=1", "a=1", "d/ a=1", "a=1"),
    Row("an empty directory removed on both", "d/ a=1", "a=1", "a=1", "a=1"),
    Row("an empty directory removed, a file put into it", "d/", "", "d/a=1", "d/a=1"),
    Row("an empty directory removed, an empty directory put into it", "d/", "", "d/e/", "d/e/"),
    Row("an empty directory removed, its permissions changed", "d/ a=1", "a=1", "d/:700 a=1", "a=1"),
    Row("permissions deep inside do not outlive a deletion", "d/e/f/ a=1", "a=1", "d/e/f/:700 a=1", "a=1"),
    Row("a directory removed, emptied by the other", "d/a=1 b=1", "b=1", "d/ b=1", "b=1"),
    Row("a directory removed, a file in it touched", "d/a=1 b=1", "b=1", "d/a=1@9 b=1", "b=1"),
    Row("a directory removed, a file in it edited: the rest goes", "d/a=1 d/b=1 d/e/", "", "d/a=2@1 d/b=1 d/e/",
        "d/a=2@1"),
    Row("a directory removed, edited far below", "d/e/f/a=1 d/e/b=1 d/c=1", "", "d/e/f/a=2 d/e/b=1 d/c=1", "d/e/f/a=2"),
    Row("a directory removed and made again with other files", "d/a=1", "d/b=2", "d/a=1 d/c=3", "d/b=2 d/c=3"),
    Row("each side removes one of its two files", "d/a=1 d/b=1", "d/a=1", "d/b=1", "d/"),
    Row("one side empties a directory, the other edits", "d/a=1 d/b=1", "d/", "d/a=2 d/b=1", "d/a=2"),
    Row("one side empties a directory", "d/a=1 c=1", "d/ c=1", "d/a=1 c=1", "d/ c=1"),
    Row("the same directory made with different files", "", "d/a=1", "d/b=2", "d/a=1 d/b=2"),
    Row("an empty directory here, a full one there", "", "d/", "d/b=2", "d/b=2"),
    Row("permissions of a directory on one side", "d/a=1", "d/:700 d/a=1", "d/a=1", "d/:700 d/a=1"),
    Row("permissions of a directory, a file of it there", "d/a=1", "d/:700 d/a=1", "d/a=2", "d/:700 d/a=2"),
    Row("permissions of a directory on both", "d/:775 d/a=1", "d/:755 d/a=1", "d/:770 d/a=1", "d/:750 d/a=1"),
    Row("a new directory on both, other permissions", "", "d/:775", "d/:757", "d/"),
    # -- a file and a directory of one name
    Row("a file here, a directory there", "", "a=1@9", "a/b=2", "a/b=2 a~1@9", "a"),
    Row("a file here, an empty directory there", "", "a=1@9", "a/", "a/ a~1@9", "a"),
    Row("a link here, a directory there", "", "a>x@9", "a/b=2", "a/b=2 a~x>x@9", "a"),
    Row("a file becomes a directory", "a=1", "a/b=2", "a=1", "a/b=2"),
    Row("a directory becomes a file", "a/b=2", "a=1", "a/b=2", "a=1"),
    Row("a file becomes a directory, and is edited", "a=1", "a/b=2", "a=3@4", "a/b=2 a~3@4", "a"),
    Row("a file becomes a directory, and is deleted", "a=1", "a/b=2", "", "a/b=2"),
    Row("a directory becomes a file, and a file in it is edited", "a/b=1", "a=2@3", "a/b=4", "a/b=4 a~2@3", "a"),
    Row("a directory becomes a file, and is removed", "a/b=1", "a=2@3", "", "a=2@3"),
    Row("a directory becomes a file on both", "a/b=1", "a=2@3", "a=3@2", "a=2@3 a~3@2", "a"),
    Row("a directory becomes a file, is emptied there", "a/b=1 c=1", "a=2@3 c=1", "a/ c=1", "a=2@3 c=1"),
    Row("the directory beside a copy goes: the version takes the name", "a/b=1 a~2@3", "a~2@3", "a/b=1 a~2@3 c=1",
        "a~2@3 c=1"),
    Row("the directory beside a copy goes, and the copy is edited", "a/b=1 a~2@3", "a~2@3", "a/b=1 a~2@3=4@5", "a=4@5"),
    Row("two files against a directory", "a=1", "a=2@2", "a/x=1 a~3@3", "a/x=1 a~2@2 a~3@3", "a"),
    # -- conflicts that are open already
    Row("an open conflict lies as it lies", "a=2@5 a~3@4 b=1", "a=2@5 a~3@4 b=2", "a=2@5 a~3@4 b=1", "a=2@5 a~3@4 b=2"),
    Row("resolved on one side: the current stays", "a=2@5 a~3@4", "a=2@5", "a=2@5 a~3@4", "a=2@5"),
    Row("resolved on one side: the copy stays", "a=2@5 a~3@4", "a=3@4", "a=2@5 a~3@4", "a=3@4"),
    Row("resolved by deleting the current", "a=2@5 a~3@4", "a~3@4", "a=2@5 a~3@4", "a~3@4"),
    Row("resolved differently: what nobody removed is nothing", "a=2@5 a~3@4", "a=2@5", "a=3@4", ""),
    Row("resolved here, the copy edited there", "a=2@5 a~3@4", "a=2@5", "a=2@5 a~3@4=4@9", "a=4@9 a~2@5", "a"),
    Row("resolved here, the original edited there", "a=2@5 a~3@4", "a=3@4", "a=4@9 a~3@4", "a=4@9 a~3@4", "a"),
    Row("the copy edited on both", "a=2@5 a~3@4", "a=2@5 a~3@4=6@6", "a=2@5 a~3@4=7@7", "a=7@7 a~2@5 a~6@6", "a"),
    Row("the original edited here, the copy deleted there", "a=2@5 a~3@4", "a=6@6 a~3@4", "a=2@5", "a=6@6"),
    Row("the original edited here, the copy there", "a=2@5 a~3@4", "a=6@6 a~3@4", "a=2@5 a~3@4=7@7",
        "a=7@7 a~6@6", "a"),
    Row("both versions deleted here, one edited there", "a=2@5 a~3@4", "", "a=2@5 a~3@4=7@7", "a=7@7"),
    Row("a third version joins", "a=1", "a=2@5 a~3@4", "a=4@6", "a=4@6 a~2@5 a~3@4", "a"),
    Row("the same conflict, seen by two", "a=1", "a=2@5 a~3@4", "a=2@5 a~3@4", "a=2@5 a~3@4"),
    Row("overlapping conflicts", "a=1", "a=3@5 a~2@4", "a=4@6 a~3@5", "a=4@6 a~2@4 a~3@5", "a"),
    Row("a version copied over the other is a removal", "a=2@5 a~3@4", "a=3@4 a~3@4", "a=2@5 a~3@4", "a=3@4 a~3@4"),
    Row("the same version twice counts once", "a=2@5 a~3@4", "a=3@4 a~3@4", "a=2@5 a~3@4=4@9", "a=4@9"),
    Row("a copy renamed away on one side", "a=2@5 a~3@4", "a=2@5 mine=3@4", "a=2@5 a~3@4", "a=2@5 mine=3@4"),
    Row("a copy renamed away, and edited", "a=2@5 a~3@4", "a=2@5 mine=3@4", "a=2@5 a~3@4=4@9",
        "a=4@9 a~2@5 mine=3@4", "a"),
    Row("a copy of a copy is a copy of the name", "", "a~1@1=5@5", "a=6@6", "a=6@6 a~5@5", "a"),
    Row("a copy alone on both takes the name", "a~1@1", "a~1@1=5@5", "a~1@1=4@4", "a=5@5 a~4@4", "a"),
    Row("conflicts at two names", "", "a=1@1 b=1@1", "a=2@2 b=2@2", "a=2@2 a~1@1 b=2@2 b~1@1", "a b"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_row(row: Row) -> None:
    trees = MemoryTrees()
    base, left, right = parse(trees, row.base), parse(trees, row.left), parse(trees, row.right)
    merge = reconcile(trees, base, left, right)
    assert show(trees, merge.tree) == " ".join(sorted(row.merged.split()))
    assert [path.decode() for path in merge.conflicts] == row.conflicts.split()
    assert reconcile(trees, base, right, left) == merge


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_row_against_its_base(row: Row) -> None:
    trees = MemoryTrees()
    base, left, right = parse(trees, row.base), parse(trees, row.left), parse(trees, row.right)
    for side in (left, right):
        assert reconcile(trees, base, side, base).tree == side
        assert reconcile(trees, base, side, side).tree == side
        assert reconcile(trees, side, side, base).tree == base


def test_every_row_has_its_own_name() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS) > 60
