"""The object store: what goes in comes out, or is named as damaged; never anything else."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replican.effects.forms import check_object
from replican.effects.objects import FEW_CHECKPOINTS, FEW_ENTRIES, LOOSE_LIMIT, ObjectStore
from replican.repository import Repository
from replican.values.checkpoints import Author, Checkpoint, encode_checkpoint
from replican.values.errors import DamagedError, MalformedError, NoSpaceError, NotFoundError
from replican.values.ids import EMPTY_TREE, CheckpointId, TreeId, checkpoint_id, object_hash, tree_id
from replican.values.trees import FILE, Entry, encode_tree

Objects = dict[bytes, tuple[bytes, bytes]]


def make_trees(count: int, seed: int = 1, size: int = 3) -> Objects:
    rng = random.Random(seed)
    made: Objects = {}
    for _ in range(count):
        payload = encode_tree([Entry(b"f%d" % n, FILE, 0o644, n, n, rng.randbytes(32)) for n in range(size)])
        made[tree_id(payload)] = (b"tree", payload)
    return made


def make_checkpoint(message: str = "hello") -> tuple[CheckpointId, Checkpoint, bytes]:
    checkpoint = Checkpoint(EMPTY_TREE, (), Author("Ann", "0" * 16, 5), message)
    payload = encode_checkpoint(checkpoint)
    return checkpoint_id(payload), checkpoint, payload


def files_of(store: ObjectStore) -> list[Path]:
    return sorted(path for path in Path(store.path).rglob("*") if path.is_file())


def is_named(store: ObjectStore, id: bytes, expected: tuple[bytes, bytes]) -> bool:
    """Whether reading says that ``id`` is damaged; False where it is whole."""
    try:
        found = store.read(id)
    except DamagedError as error:
        return id.hex() in error.message
    assert found == expected
    return False


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with ObjectStore(f"{tmp_path}/objects") as made:
        yield made


@pytest.mark.parametrize("count", [1, LOOSE_LIMIT, LOOSE_LIMIT + 1, 300])
def test_what_is_added_comes_back(store: ObjectStore, count: int) -> None:
    trees = make_trees(count)
    id, checkpoint, payload = make_checkpoint()
    store.add(trees)
    store.add({id: (b"commit", payload)})
    for fresh in (store, ObjectStore(store.path)):
        with fresh:
            assert {each: fresh.read(each) for each in trees} == trees
            assert fresh.checkpoint(id) == checkpoint
            assert dict(fresh.ids()) == {id: b"commit", **dict.fromkeys(trees, b"tree")}
            first = TreeId(next(iter(trees)))
            assert encode_tree(fresh.tree(first)) == trees[first][1]
            assert fresh.tree(first) is fresh.tree(first)
            assert fresh.has(first)
    stats = store.stats()
    assert (stats.loose, stats.packs) == ((count + 1, 0) if count <= LOOSE_LIMIT else (1, 1))


def test_nothing_is_there_before_anything_was_added(store: ObjectStore) -> None:
    assert list(store.ids()) == []
    assert store.resolve_prefix("00") == []
    assert not store.has(EMPTY_TREE)
    with pytest.raises(NotFoundError):
        store.tree(EMPTY_TREE)
    assert not Path(store.path).exists()


def test_an_empty_tree_is_an_object_like_any(store: ObjectStore) -> None:
    store.add({EMPTY_TREE: (b"tree", b"")})
    assert store.tree(EMPTY_TREE) == []


def test_an_object_of_another_kind_is_not_found(store: ObjectStore) -> None:
    id, _, payload = make_checkpoint()
    store.add({id: (b"commit", payload)})
    with pytest.raises(NotFoundError, match="is a checkpoint, not a tree"):
        store.tree(TreeId(id))


def test_a_wrong_hash_is_never_stored(store: ObjectStore) -> None:
    trees = make_trees(2)
    trees[b"\1" * 32] = (b"tree", b"")
    with pytest.raises(DamagedError, match="01" * 32):
        store.add(trees)
    assert list(store.ids()) == []


def test_a_malformed_object_with_its_hash_is_refused_by_name(store: ObjectStore) -> None:
    payload = b"f0644 1 2 ../x\0" + b"\0" * 32
    id = object_hash(b"tree", payload)
    store.add({id: (b"tree", payload)})
    with pytest.raises(DamagedError, match=id.hex()):
        store.tree(TreeId(id))
    with pytest.raises(DamagedError, match=id.hex()):
        check_object(b"tree", id, payload)
    with pytest.raises(DamagedError):
        check_object(b"commit", id, payload)
    with pytest.raises(DamagedError):
        check_object(b"blob", object_hash(b"blob", b""), b"")


def test_objects_are_durable_before_their_names(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is flushed before it is renamed, and its directory after that."""
    steps: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(fd: int) -> None:
        steps.append(("flush", os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    def noted_rename(old: str, new: str) -> None:
        steps.append(("rename", old))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    for count, directory in ((3, "loose"), (LOOSE_LIMIT + 1, "pack")):
        steps.clear()
        store.add(make_trees(count, seed=count))
        renamed = [path for step, path in steps if step == "rename"]
        assert len(renamed) == (3 if directory == "loose" else 2)
        for path in renamed:
            assert steps.index(("flush", path)) < steps.index(("rename", path))
        assert steps[-1] == ("flush", f"{store.path}/{directory}")


def test_a_failed_write_leaves_nothing(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    store.add(make_trees(1))
    before = files_of(store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for count in (2, LOOSE_LIMIT + 1):
            with pytest.raises(NoSpaceError, match="no space left"):
                store.add(make_trees(count, seed=9))
    assert [path for path in files_of(store) if path not in before] == []


@pytest.mark.parametrize("packed", [False, True])
def test_any_damage_is_named_and_never_read(store: ObjectStore, packed: bool) -> None:
    trees = make_trees(LOOSE_LIMIT + 1 if packed else 1, size=6)
    store.add(trees)
    store.close()
    (data,) = (path for path in files_of(store) if path.suffix != ".idx")
    whole = data.read_bytes()
    data.chmod(0o600)
    rng = random.Random(5)
    named = 0
    for _ in range(150):
        bad = bytearray(whole)
        at = rng.randrange(len(bad))
        bad[at] ^= 1 << rng.randrange(8)
        data.write_bytes(bad if rng.random() < 0.7 else bad[:at])
        with ObjectStore(store.path) as fresh:
            for id, expected in trees.items():
                named += is_named(fresh, id, expected)
    assert named >= 100
    data.write_bytes(whole)


def test_a_damaged_index_is_named_and_hides_nothing_else(store: ObjectStore) -> None:
    packed, loose = make_trees(LOOSE_LIMIT + 1), make_trees(2, seed=7)
    store.add(packed)
    store.add(loose)
    store.close()
    (index,) = Path(store.path, "pack").glob("*.idx")
    whole = index.read_bytes()
    rng = random.Random(6)
    for _ in range(60):
        bad = bytearray(whole)
        at = rng.randrange(len(bad))
        bad[at] ^= 1 << rng.randrange(8)
        index.write_bytes(bad if rng.random() < 0.7 else bad[:at])
        with ObjectStore(store.path) as fresh:
            assert all(fresh.read(id) == expected for id, expected in loose.items())
            with pytest.raises(DamagedError, match=index.stem):
                fresh.read(next(iter(packed)))
            assert len(fresh.damage()) == 1


def test_a_pack_file_that_is_gone_is_damage(store: ObjectStore) -> None:
    trees = make_trees(LOOSE_LIMIT + 1)
    store.add(trees)
    store.close()
    next(Path(store.path, "pack").glob("*.pack")).unlink()
    with pytest.raises(DamagedError, match="missing"):
        store.read(next(iter(trees)))


def test_a_damaged_object_that_is_added_again_is_mended(store: ObjectStore) -> None:
    few, many = make_trees(1), make_trees(LOOSE_LIMIT + 1, seed=2)
    store.add(few)
    store.add(many)
    store.close()
    for path in files_of(store):
        if path.suffix != ".idx":
            path.write_bytes(path.read_bytes()[:40])
    store.add(few)
    store.add(many)
    assert all(store.read(id) == expected for id, expected in {**few, **many}.items())


def test_abbreviations(store: ObjectStore) -> None:
    trees = {**make_trees(60, size=1), **make_trees(10, seed=3, size=1)}
    ids = sorted(trees)
    store.add(dict(list(trees.items())[:60]))
    store.add(dict(list(trees.items())[60:]))
    for digits in (1, 2, 3, 4, 63, 64):
        for id in ids:
            prefix = id.hex()[:digits]
            assert store.resolve_prefix(prefix) == [(e, b"tree") for e in ids if e.hex().startswith(prefix)]
    assert store.resolve_prefix("") == []
    assert store.resolve_prefix("XY") == []
    assert store.resolve_prefix("f" * 65) == []


def test_a_reader_sees_what_others_add_and_repack(store: ObjectStore) -> None:
    first, second, third = make_trees(40), make_trees(40, seed=2), make_trees(3, seed=3)
    with ObjectStore(store.path) as reader:
        store.add(first)
        assert all(reader.has(id) for id in first)
        store.add(second)
        assert all(reader.read(id) == expected for id, expected in second.items())
        store.add(third)
        everything = {**first, **second, **third}
        store.repack(everything)
        assert all(reader.read(id) == expected for id, expected in everything.items())


def test_iterating_goes_on_over_a_repack(store: ObjectStore) -> None:
    trees = make_trees(50)
    store.add(trees)
    going = store.ids()
    seen = {next(going)[0]}
    store.add(make_trees(40, seed=8))
    store.repack(trees, grace_seconds=-1)
    seen.update(id for id, _ in going)
    assert seen >= set(trees)


def test_a_repack_keeps_what_it_is_told_and_what_is_young(store: ObjectStore) -> None:
    kept, old, young = make_trees(40), make_trees(40, seed=2), make_trees(5, seed=3)
    for each in (kept, old, young):
        store.add(each)
    past = time.time() - 3600
    for path in Path(store.path, "pack").iterdir():
        os.utime(path, (past, past))
    done = store.repack(kept, grace_seconds=600)
    assert (done.kept, done.dropped) == (45, 40)
    assert {id for id, _ in store.ids()} == kept.keys() | young.keys()
    assert store.stats().loose == 0
    assert store.stats().packs == 2  # the young ones apart, with their age

    done = store.repack(kept, grace_seconds=-60)
    assert (done.kept, done.dropped) == (40, 5)
    assert store.repack(kept, grace_seconds=-60).dropped == 0
    assert all(store.read(id) == expected for id, expected in kept.items())
    assert store.stats().packs == 1
    done = store.repack((), grace_seconds=-60)
    assert (done.kept, store.stats().packs) == (0, 0)


def test_a_repack_does_not_make_anything_younger(store: ObjectStore) -> None:
    trees = make_trees(3)
    store.add(trees)
    past = time.time() - 1000
    for path in Path(store.path, "loose").iterdir():
        os.utime(path, (past, past))
    store.repack((), grace_seconds=2000)
    store.repack((), grace_seconds=2000)
    assert store.repack((), grace_seconds=500).dropped == 3


def test_something_new_beside_it_does_not_make_anything_younger(store: ObjectStore) -> None:
    old, new = make_trees(40), make_trees(40, seed=2)
    store.add(old)
    past = time.time() - 1000
    for path in Path(store.path, "pack").iterdir():
        os.utime(path, (past, past))
    store.add(new)
    store.repack((), grace_seconds=2000)
    assert store.repack((), grace_seconds=500) == (40, 40)
    assert {id for id, _ in store.ids()} == new.keys()


def test_adding_again_makes_young_again(store: ObjectStore) -> None:
    trees = make_trees(3)
    store.add(trees)
    for path in Path(store.path, "loose").iterdir():
        os.utime(path, (1, 1))
    store.add(trees)
    assert store.repack((), grace_seconds=600).dropped == 0


def test_a_repack_stops_at_damage_and_loses_nothing(store: ObjectStore) -> None:
    trees = make_trees(3)
    store.add(trees)
    bad = next(iter(trees))
    Path(store.path, "loose", bad.hex()).write_bytes(b"")
    with pytest.raises(DamagedError, match=bad.hex()):
        store.repack(trees)
    assert len(store._loose.names()) == 3
    assert not list(Path(store.path, "pack").iterdir())


def test_a_repack_sweeps_up_what_killed_writers_left(store: ObjectStore) -> None:
    trees = make_trees(40)
    store.add(trees)
    store.add(make_trees(1, seed=2))
    stale = [Path(store.path, "loose", "tmp-1-1"), Path(store.path, "pack", f"pack-{'0' * 64}.pack")]
    recent = Path(store.path, "pack", "tmp-2-2")
    for path in [*stale, recent]:
        path.write_bytes(b"x")
    for path in stale:
        os.utime(path, (1, 1))
    store.repack(trees)
    assert not any(path.exists() for path in stale)
    assert recent.exists()


def test_the_cache_of_trees_is_bounded(store: ObjectStore) -> None:
    store.most_entries, store.most_checkpoints = 20, 2
    trees = make_trees(20)
    store.add(trees)
    for id in trees:
        store.tree(TreeId(id))
    assert len(store._trees) == 5
    assert store._cached_entries == 20
    for number in range(4):
        id, checkpoint, payload = make_checkpoint(str(number))
        store.add({id: (b"commit", payload)})
        assert store.checkpoint(id) == checkpoint
    assert len(store._checkpoints) == 2


def test_who_lives_for_months_keeps_few_objects(tmp_path: Path) -> None:
    """A watch: what it has at hand does not grow to what a command of a second may have."""
    with Repository.init(str(tmp_path)) as repo:
        trees, checkpoints = repo.objects.most_entries, repo.objects.most_checkpoints
        repo.tailing.begin()
        assert repo.objects.most_entries == FEW_ENTRIES < trees
        assert repo.objects.most_checkpoints == FEW_CHECKPOINTS < checkpoints


def test_malformed_is_damage() -> None:
    assert issubclass(MalformedError, DamagedError)
