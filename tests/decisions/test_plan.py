"""Plans: what has to happen to a folder so that it holds another tree. Rows are in the language of tiny_trees."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_trees import MemoryTrees, parse

from replican.decisions.plan import UNDECIDED, Plan, leave, make_plan


class Row(NamedTuple):
    what: str
    base: str
    head: str
    steps: str


ROWS = [
    Row("nothing", "a=1 d/b=2", "a=1 d/b=2", ""),
    Row("a new file", "", "a=1", "+a"),
    Row("a file that goes", "a=1", "", "-a"),
    Row("an edit", "a=1", "a=2", "~a"),
    Row("attributes", "a=1", "a=1@5:600", "~a"),
    Row("a file that is renamed", "a=1", "b=1", "a>b"),
    Row("a file that is renamed, with other attributes", "a=1@1", "b=1@2:600", "a>b"),
    Row("a file that is moved into a directory", "a=1 d/x=2", "d/a=1 d/x=2", "a>d/a"),
    Row("an empty file is never moved", "a=", "b=", "+b -a"),
    Row("a link that is renamed", "l>x", "m>x", "l>m"),
    Row("equal files: each is moved once", "a=1 b=1", "c=1 d=1 e=1", "a>d b>c +e"),
    Row("a copy of what stays is no move", "a=1", "a=1 b=1", "+b"),
    Row("two names change places", "a=1 b=2", "a=2 b=1", "~a ~b"),
    Row("a new directory", "", "d/a=1 d/e/b=2", "+d/"),
    Row("an empty directory", "", "d/", "+d/"),
    Row("a directory that goes", "d/a=1 d/e/b=2", "", "-d/a -d/e/b -d/ -d/e/"),
    Row("a directory that is renamed", "d/a=1 d/e/b=2", "f/a=1 f/e/b=2", "d/>f/"),
    Row("a directory that is renamed, with other permissions", "d/a=1", "f/a=1 f/:700", "d/>f/"),
    Row("an empty directory is never moved", "d/", "e/", "+e/ -d/"),
    Row("a directory below a new one", "d/a=1", "n/d/a=1 n/x=2", "+n/(n/d) d/>n/d/"),
    Row(
        "a renamed directory with an edit: its files are moved",
        "d/a=1 d/b=2",
        "e/a=1 e/b=3",
        "+e/(e/a) d/a>e/a -d/b -d/",
    ),
    Row("a renamed directory with an edit below", "d/e/a=1 d/b=2", "f/e/a=1 f/b=3", "+f/(f/e) d/e/>f/e/ -d/b -d/"),
    Row("directories that change places", "d/a=1 e/b=2", "d/b=2 e/a=1", "d/a>e/a e/b>d/b"),
    Row("a directory that is renamed, beside one that has its tree, too", "d/a=1 g/a=1", "e/a=1 g/a=1", "d/>e/"),
    Row("two equal directories are renamed", "d/a=1 f/a=1", "e/a=1 g/a=1", "d/>e/ f/>g/"),
    Row("one of two equal directories goes", "d/a=1 f/a=1", "e/a=1", "d/>e/ -f/a -f/"),
    Row("a directory that is renamed, with one that it held before", "d/e/a=1 d/b=2", "f/e/a=1 f/b=2", "d/>f/"),
    Row("a whole one is nearer than a part", "d/a=1 d/e/b=2", "c/e/b=2 f/a=1 f/e/b=2", "+c/ d/>f/"),
    Row("a directory that is renamed, and a file takes its name", "d/a=1", "d=2 e/a=1", "+d d/>e/"),
    Row("permissions of a directory", "d/a=1", "d/a=1 d/:700", "d/!"),
    Row("a file that becomes a directory", "d=1", "d/a=2", "-d +d/!d"),
    Row("a directory that becomes a file", "d/a=1", "d=2", "+d -d/a -d/"),
    Row("a file that is moved to where a directory goes", "d/a=1 b=2", "d=2", "+d -b -d/a -d/"),
    Row("a file of a directory takes its place", "d/a=1", "d=1", "+d -d/a -d/"),
    Row("a file that becomes a link", "a=1", "a>x", "~a"),
    Row("a conflict copy comes with its name", "a=1", "a=3@5 a~2@4", "~a +a~2"),
    Row("a new unit", "", "u!a=1", "+u/"),
    Row("a unit that changes", "u!a=1,b/c=1", "u!a=2,b/c=1", "~u!"),
    Row("a unit that goes", "u!a=1,b/c=1", "", "-u!"),
    Row("a unit that is renamed", "u!a=1", "v!a=1", "u/>v/"),
    Row("a unit that is renamed, and changes", "u!a=1,b=1", "v!a=1,b=2", "-u! +v/"),
    Row("a unit that is moved into a new directory", "u!a=1", "d/u!a=1 d/b=2", "+d/(d/u) u/>d/u/"),
    Row("nothing is moved out of a unit", "u!a=1,b/c=2", "a=1 b/c=2", "-u! +a +b/"),
    Row("nothing is moved into a new unit", "a=1 d/b=2", "u!a=1,d/b=2", "+u/ -a -d/b -d/"),
    Row("a unit comes with a copy of what it was", "u!a=1", "u!a=2@5 u~!a=1", "~u! +u~!"),
    Row("a copy of a unit goes, and the unit changes", "u!a=2@5 u~!a=1", "u!a=3", "~u! -u~!"),
    Row("permissions of a unit", "u!a=1", "u!a=1!700", "u/!"),
    Row("a directory that becomes a unit", "u/a=1", "u!a=1", "u/!"),
    Row("a directory that becomes a unit, and changes", "u/a=1 u/b=1", "u!a=2,b=1", "~u!"),
    Row("a unit that is none any more, and changes", "u!a=1,b=1", "u/a=2 u/b=1", "u/! ~u/a"),
    Row("a unit in a directory that goes", "d/u!a=1 d/b=1", "", "-d/u! -d/b -d/"),
    Row("a unit in a directory that is renamed", "d/u!a=1 d/b=1", "e/u!a=1 e/b=1", "d/>e/"),
    Row("a unit in a directory that is renamed, with an edit beside it", "d/u!a=1 d/b=1", "e/u!a=1 e/b=2",
        "+e/(e/u) d/u/>e/u/ -d/b -d/"),
    Row("a unit becomes a file", "u!a=1", "u=2", "-u! +u"),
    Row("a file becomes a unit", "u=2", "u!a=1", "-u +u/!u"),
    Row("a name with several changes is left whole", "a=1 b=9", "c=1 b=1@3 b~9", "+b~9 a>c ~b"),
]  # fmt: skip


def shown(trees: MemoryTrees, plan: Plan) -> str:
    """A plan in a word for each step, sorted."""
    steps = []
    for new in plan.new:
        apart = (
            f"({','.join(sorted(path.decode() for path in new.apart))})"
            if new.apart and new.path not in new.apart
            else ""
        )
        if new.path not in new.apart:
            steps.append(f"+{new.path.decode()}/{apart}{'!' + new.path.decode() if new.replaces else ''}")
    for move in plan.moves:
        slash = "/" if move.was.kind == b"d" else ""
        steps.append(f"{move.old.decode()}{slash}>{move.new.decode()}{slash}")
    for group in plan.units:
        for change in group.changes:
            sign = "-" if change.new is None else "+" if change.old is None else "~"
            stem, conflict, _ = change.path.partition(b".conflict-")
            steps.append(f"{sign}{stem.decode()}{'~' if conflict else ''}!")
    for group in plan.groups:
        for change in group.changes:
            sign = "-" if change.new is None else "+" if change.old is None else "~"
            name = change.path.decode()
            if ".conflict-" in name:
                assert change.new is not None
                name = f"{group.key.decode()}~{trees.contents[change.new.blob]}"
            steps.append(sign + name)
    steps += [f"-{path.decode()}/" for path, _ in plan.gone]
    steps += [f"{change.path.decode()}/!" for change in plan.perms]
    return " ".join(sorted(steps))


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_plan(row: Row) -> None:
    trees = MemoryTrees()
    plan = make_plan(trees, parse(trees, row.base), parse(trees, row.head))
    assert shown(trees, plan) == " ".join(sorted(row.steps.split()))
    assert plan.is_empty == (not row.steps)


def test_directories_go_deepest_first() -> None:
    trees = MemoryTrees()
    plan = make_plan(trees, parse(trees, "d/e/f/a=1 d/b=2"), parse(trees, ""))
    assert [path for path, _ in plan.gone] == [b"d/e/f", b"d/e", b"d"]


def test_nothing_is_read_of_what_is_moved_whole() -> None:
    """However many files it has."""
    trees = MemoryTrees()
    base, head = parse(trees, "d/a=1 d/e/b=2 x=1"), parse(trees, "f/a=1 f/e/b=2 x=1")
    trees.read.clear()
    plan = make_plan(trees, base, head)
    assert [(move.old, move.new) for move in plan.moves] == [(b"d", b"f")]
    assert set(trees.read) == {base, head}


class Left(NamedTuple):
    what: str
    base: str
    head: str
    undecided: str
    steps: str
    pending: str


LEFT = [
    Left("nothing is undecided", "a=1", "a=2", "", "~a", ""),
    Left("another name", "a=1 b=2", "a=2 b=3", "b", "~a", "b"),
    Left("all versions of its name", "a=1", "a=3@5 a~2@4 b=1", "a", "+b", "a a~2"),
    Left("a move from it, and to it", "a=1 b=2", "c=1 d=2", "a d", "", "a b c d"),
    Left("a directory with what is below", "d/a=1 d/e/b=2 f=1", "d/a=2 d/e/b=3 f=2", "d/e", "~d/a ~f", "d/e/b"),
    Left("a new directory, and what moves into it", "a=1", "n/a=1 n/b=2 m/c=3", "n", "+m/", "a n n/a"),
    Left("what goes above it stays", "d/e/a=1 d/b=2", "", "d/e/a", "-d/b", "d d/e d/e/a"),
    Left("what moves above it stays", "d/e/a=1 b=2", "f/e/a=1", "d/e/a", "-b", "d f"),
    Left("permissions", "d/a=1 e/b=2", "d/a=1 d/:700 e/b=2 e/:700", "d", "e/!", "d"),
    Left("permissions above it", "d/a=1", "d/a=1 d/:700", "d/a", "d/!", ""),
    Left("a directory in its place", "d=1", "d/a=2", "d", "", "d"),
    Left("it in the place of a directory", "d/a=1", "d=2", "d", "", "d d/a"),
]


@pytest.mark.parametrize("row", LEFT, ids=[row.what for row in LEFT])
def test_what_is_undecided_is_left_alone(row: Left) -> None:
    trees = MemoryTrees()
    whole = make_plan(trees, parse(trees, row.base), parse(trees, row.head))
    plan, pending = leave(whole, [path.encode() for path in row.undecided.split()])
    assert shown(trees, plan) == " ".join(sorted(row.steps.split()))
    names = [each.path.decode().partition(".conflict-") for each in pending]
    assert sorted(f"{name}~2" if copy else name for name, copy, _ in names) == row.pending.split()
    assert {each.cause for each in pending} <= {UNDECIDED}


NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "f/a", "f/e/a"])
FOLDERS = st.dictionaries(NAMES, st.sampled_from(["1", "2", ""]), max_size=6)


@given(FOLDERS, FOLDERS)
def test_every_file_is_accounted_for(before: dict[str, str], after: dict[str, str]) -> None:
    """What comes is made, moved or changed; what goes is deleted or moved; and nothing is done twice."""
    trees = MemoryTrees()
    plan = make_plan(
        trees,
        parse(trees, " ".join(f"{path}={content}" for path, content in before.items())),
        parse(trees, " ".join(f"{path}={content}" for path, content in after.items())),
    )
    folder: dict[str, str] = dict(before)
    for new in plan.new:
        assert new.replaces is None
    for move in plan.moves:
        old, new_path = move.old.decode(), move.new.decode()
        for path in [path for path in folder if path == old or path.startswith(old + "/")]:
            target = new_path + path[len(old) :]
            assert target not in folder or target in before
            folder[target] = folder.pop(path)
    for group in plan.groups:
        for change in group.changes:
            path = change.path.decode()
            if change.new is None:
                assert folder.pop(path) == before[path]
            else:
                folder[path] = trees.contents[change.new.blob]
    for new in plan.new:
        top = new.path.decode()
        for path, content in after.items():
            if path.startswith(top + "/") and path not in folder:
                folder[path] = content
    assert folder == after
