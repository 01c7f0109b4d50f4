from pathlib import Path

import pytest
from small_repository import SmallRepository

from replican.effects.forms import BLOB, CHECKPOINT, TREE
from replican.operations import revisions
from replican.operations.revisions import checkpoint_named, resolve, shorten, tree_named
from replican.values.errors import NotFoundError, UsageError
from replican.values.ids import EMPTY_TREE, CheckpointId, blob_id


@pytest.fixture
def small(tmp_path: Path) -> SmallRepository:
    return SmallRepository(tmp_path / "replica")


def checkpoint(small: SmallRepository, name: str) -> CheckpointId:
    with small.open() as repo:
        return checkpoint_named(repo, name)


def fails(small: SmallRepository, name: str) -> NotFoundError:
    with small.open() as repo, pytest.raises(NotFoundError) as caught:
        checkpoint_named(repo, name)
    return caught.value


def test_names_of_refs(small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    other = small.user(None, "b=2", head=False)
    small.set_ref("remotes/origin/head", other)
    for name in ("HEAD", "head", "@", "refs/head", one.hex(), one.hex()[:9], one.hex().upper()):
        assert checkpoint(small, name) == one, name
    for name in ("origin/head", "origin", "origin/HEAD", "remotes/origin/head", "refs/remotes/origin/head"):
        assert checkpoint(small, name) == other, name


@pytest.mark.parametrize(
    "name", ["", "nobody", "nobody/head", "abc", "HEAD@", "a..b", "..", "-x", "HEAD^{}x", "HEAD~x"]
)
def test_no_names(small: SmallRepository, name: str) -> None:
    small.user(None, "a=1")
    fails(small, name)


def test_an_empty_log_has_no_head_and_says_so(small: SmallRepository) -> None:
    assert "empty" in fails(small, "HEAD").message
    assert "empty" in fails(small, "HEAD~1").message
    fails(small, "HEAD@{0}")


def test_steps_back(small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    three = small.user(two, "a=3")
    for name, expected in {
        "HEAD~": two,
        "HEAD^": two,
        "HEAD~1": two,
        "HEAD~2": one,
        "HEAD^^": one,
        "HEAD~1^1": one,
        "HEAD~0": three,
        "HEAD^0": three,
        "HEAD^{commit}": three,
        "HEAD^{checkpoint}": three,
        f"{three.hex()[:8]}~2": one,
    }.items():
        assert checkpoint(small, name) == expected, name
    assert "first" in fails(small, "HEAD~3").message
    assert "not 2" in fails(small, "HEAD^2").message
    assert "no parents" in fails(small, "HEAD~2^1").message


def test_a_merge_has_no_one_before_it_and_names_its_parents(small: SmallRepository) -> None:
    base = small.user(None, "a=1")
    parents = sorted([small.user(base, "a=1 b=1"), small.user(base, "a=1 c=1")])
    small.merge(*parents)
    for name in ("HEAD~", "HEAD^", "HEAD~2", "HEAD^0~1"):
        error = fails(small, name)
        assert all(parent.hex() in (error.hint or "") for parent in parents), name
    assert [checkpoint(small, f"HEAD^{number}") for number in (1, 2)] == parents
    assert checkpoint(small, "HEAD^2~1") == base
    assert "2 parents" in fails(small, "HEAD^3").message


def test_the_past_of_a_ref_is_what_the_folder_was(small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    three = small.user(two, "a=3")
    assert [checkpoint(small, f"HEAD@{{{number}}}") for number in (0, 1, 2)] == [three, two, one]
    assert checkpoint(small, "@{1}") == two
    assert checkpoint(small, "HEAD@{1}~1") == one
    assert "3 times" in fails(small, "HEAD@{3}").message
    for name, expected in {
        "HEAD@{2023-11-14T22:13:22+00:00}": two,
        "HEAD@{2023-11-14 22:13:22+00:00}": two,
        "HEAD@{@1700000001}": one,
        "HEAD@{now}": three,
        "head@{2.days.ago}": three,
    }.items():
        assert checkpoint(small, name) == expected, name
    assert "began later" in fails(small, "HEAD@{2020-01-01}").message
    with small.open() as repo, pytest.raises(UsageError):
        checkpoint_named(repo, "HEAD@{next tuesday}")
    assert "only refs" in fails(small, "a/b/c@{1}").message
    assert "no past" in fails(small, "origin@{1}").message


def test_paths(small: SmallRepository) -> None:
    small.user(None, "a=1 d/e/b=2 d/l>a")
    with small.open() as repo:
        assert resolve(repo, "HEAD:a")[:2] == (BLOB, blob_id(b"1"))
        found = resolve(repo, "HEAD:./d//e/b")
        assert (found.id, found.path) == (blob_id(b"2"), b"d/e/b")
        assert found.entry is not None
        assert found.entry.size == 1
        assert resolve(repo, "HEAD:d/l").id == blob_id(b"a")
        assert resolve(repo, "HEAD:d/e").kind == TREE
        assert tree_named(repo, "HEAD:d/e") == resolve(repo, "HEAD:d/e").id
        assert tree_named(repo, "HEAD:") == tree_named(repo, "HEAD") == tree_named(repo, "HEAD^{tree}")
        assert tree_named(repo, "HEAD@{0}:d") == tree_named(repo, "HEAD:d")
        for name in ("HEAD:b", "HEAD:a/b", "HEAD:d/l/x", "HEAD:d\n"):
            with pytest.raises(NotFoundError):
                resolve(repo, name)
        with pytest.raises(NotFoundError, match="not a directory"):
            tree_named(repo, "HEAD:a")
        with pytest.raises(NotFoundError, match="not a checkpoint"):
            checkpoint_named(repo, "HEAD:d")
        for name in ("HEAD:../a", ":a"):
            with pytest.raises(UsageError):
                resolve(repo, name)


def test_ids_have_types(small: SmallRepository) -> None:
    head = small.user(None, "a=1")
    with small.open() as repo:
        tree = tree_named(repo, head.hex())
        assert resolve(repo, head.hex()).kind == CHECKPOINT
        assert resolve(repo, tree.hex()[:10]).kind == TREE
        assert resolve(repo, blob_id(b"1").hex()).kind is None
        assert tree_named(repo, EMPTY_TREE.hex()) == EMPTY_TREE
        with pytest.raises(NotFoundError, match="is a tree, not a checkpoint"):
            checkpoint_named(repo, tree.hex())
        for name in ("0" * 64, f"{tree.hex()}~1", "00000000"):
            with pytest.raises(NotFoundError):
                checkpoint_named(repo, name)
        with pytest.raises(NotFoundError):
            tree_named(repo, blob_id(b"1").hex())


def test_an_ambiguous_abbreviation_lists_its_candidates(small: SmallRepository) -> None:
    found: dict[str, CheckpointId] = {}
    for number in range(1000):
        made = small.user(None, "a=1", f"number {number}", head=False)
        twin = found.setdefault(made.hex()[:4], made)
        if twin != made:
            break
    else:
        pytest.fail("no two ids begin alike")
    error = fails(small, made.hex()[:4])
    assert made.hex() in (error.hint or "")
    assert twin.hex() in (error.hint or "")
    with small.open() as repo:
        short = shorten(repo, made, 4)
        assert checkpoint_named(repo, short) == made
        assert made.hex().startswith(short)
        assert not twin.hex().startswith(short)


def test_the_type_that_is_wanted_settles_an_ambiguity(small: SmallRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    head = small.user(None, "a=1")
    with small.open() as repo:
        tree = tree_named(repo, "HEAD")
        both = sorted([(head, CHECKPOINT), (tree, TREE)])
        monkeypatch.setattr(repo.objects, "resolve_prefix", lambda prefix: both)
        assert checkpoint_named(repo, "abcd") == head
        with pytest.raises(NotFoundError, match="2 ids"):
            resolve(repo, "abcd")


def test_names_of_refs_that_are_changed(small: SmallRepository) -> None:
    assert revisions.whole_ref_name("HEAD") == "head"
    assert revisions.whole_ref_name("origin/head") == "remotes/origin/head"
    for name in ("", "a/b/c/d", "remotes/x", "../x/head", "a..b/head"):
        with pytest.raises(UsageError):
            revisions.whole_ref_name(name)
