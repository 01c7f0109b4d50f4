from in_process import InProcess
from small_repository import SmallRepository


def test_the_best_common_ancestor(run: InProcess, small: SmallRepository) -> None:
    base = small.user(None, "a=1")
    one = small.user(base, "a=2")
    other = small.user(base, "a=3", head=False)
    assert run("merge-base", "HEAD", other.hex()).line == base.hex()
    assert run("merge-base", one.hex(), base.hex(), "--json").json() == [base.hex()]


def test_several(run: InProcess, small: SmallRepository) -> None:
    base = small.user(None, "a=1")
    left, right = small.user(base, "b=1"), small.user(base, "c=1")
    both = small.merge(left, right)
    one, other = small.user(both, "b=1 c=2"), small.user(left, "b=2")
    again = small.merge(right, other)
    found = run("merge-base", "--all", one.hex(), again.hex()).lines
    assert found == sorted([left.hex(), right.hex()])
    assert run("merge-base", one.hex(), again.hex()).lines == found[:1]


def test_none(run: InProcess, small: SmallRepository) -> None:
    one, other = small.user(None, "a=1", "one"), small.user(None, "a=1", "other")
    assert run("merge-base", one.hex(), other.hex(), code=1).out == b""
    assert run("merge-base", "--json", one.hex(), other.hex(), code=1).json() == []


def test_ancestry(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    small.user(one, "a=2")
    assert run("merge-base", "--is-ancestor", "HEAD~", "HEAD").out == b""
    run("merge-base", "--is-ancestor", "HEAD", "HEAD")
    run("merge-base", "--is-ancestor", "HEAD", "HEAD~", code=1)
    assert run("merge-base", "--json", "--is-ancestor", "HEAD", "HEAD~", code=1).json() == {"is_ancestor": False}


def test_what_is_wrong(run: InProcess, small: SmallRepository) -> None:
    small.user(None, "a=1")
    run("merge-base", "HEAD", code=2)
    run("merge-base", "HEAD", "nobody", code=1)
    run("merge-base", "HEAD", "HEAD:", code=1)
    run("merge-base", "--all", "--is-ancestor", "HEAD", "HEAD", code=2)
