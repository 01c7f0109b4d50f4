"""Consolidation: few packs whatever is added, nothing lost, nothing younger or older, and a kill at any point."""

import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from replican.effects import objects as objects_module
from replican.effects.ages import TIMES, ages
from replican.effects.consolidating import join_small_packs, smallest
from replican.effects.objects import ObjectStore
from replican.effects.packs import Pack
from replican.values.ids import object_hash
from replican.values.trees import FILE, Entry, encode_tree

Objects = dict[bytes, tuple[bytes, bytes]]
SECOND = 1_000_000_000
_random = random.Random(3)


def fresh(count: int) -> Objects:
    payloads = [encode_tree([Entry(b"f", FILE, 0o644, n, n, _random.randbytes(32))]) for n in range(count)]
    return {object_hash(b"tree", payload): (b"tree", payload) for payload in payloads}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_module, "LOOSE_LIMIT", 3)
    monkeypatch.setattr(objects_module, "PACK_BOUND", 3)
    monkeypatch.setattr(objects_module, "LOOSE_BOUND", 8)


def times_of(store: ObjectStore) -> dict[bytes, int]:
    return ages(store._loose, store._fresh_packs())


def counts(store: ObjectStore) -> list[int]:
    return sorted(pack.count for pack in store._fresh_packs())


def set_times(store: ObjectStore, ids: Objects, time_ns: int) -> None:
    """Let these have been added then; each lies in a file of its own, or with the others of ``ids`` only."""
    for path in {store._home(id) for id in ids}:
        assert path is not None
        assert not os.path.exists(path[:-5] + TIMES)
        os.utime(path, ns=(time_ns, time_ns))


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40))
def test_each_pack_has_twice_what_all_smaller_have(sizes: list[int]) -> None:
    sizes.sort()
    taken = smallest(sizes)
    assert taken != 1
    after = sorted([sum(sizes[:taken]), *sizes[taken:]]) if taken else sizes
    total = after[0]
    for size in after[1:]:
        assert size >= 2 * total
        total += size


def test_packs_stay_few_and_each_object_is_copied_a_few_times(tmp_path: Path) -> None:
    everything: Objects = {}
    copied = 0
    with ObjectStore(f"{tmp_path}/objects") as store:
        for _ in range(60):
            before = {pack.base: pack.count for pack in store._fresh_packs()}
            new = fresh(4)
            store.add(new)
            everything.update(new)
            copied += sum(pack.count for pack in store._fresh_packs() if pack.base not in before) - len(new)
            assert len(counts(store)) <= objects_module.PACK_BOUND + 4
        assert sum(counts(store)) == len(everything) == 240
        assert all(store.read(id) == expected for id, expected in everything.items())
        assert copied < 5 * len(everything)
        assert not [name for name in os.listdir(f"{tmp_path}/objects/pack") if name.startswith("tmp-")]


def test_nothing_is_written_where_there_is_nothing_to_do(tmp_path: Path) -> None:
    with ObjectStore(f"{tmp_path}/objects") as store:
        for _ in range(30):
            store.add(fresh(4))
        before = {path: path.stat() for path in Path(tmp_path, "objects", "pack").iterdir()}
        store.add(fresh(1))
        store.add({})
        after = {path: path.stat() for path in Path(tmp_path, "objects", "pack").iterdir()}
        assert {path: (at.st_ino, at.st_mtime_ns) for path, at in before.items()} == {
            path: (at.st_ino, at.st_mtime_ns) for path, at in after.items()
        }


def test_loose_objects_become_a_pack_once_they_are_many(tmp_path: Path) -> None:
    with ObjectStore(f"{tmp_path}/objects") as store:
        old = fresh(3)
        store.add(old)
        set_times(store, old, 5 * SECOND + 7)
        others = [fresh(3) for _ in range(2)]
        for each in others:
            store.add(each)
        assert (store.stats().loose, store.stats().packs, store.stats().packed) == (0, 1, 9)
        found = times_of(store)
        assert all(found[id] == 5 * SECOND + 7 for id in old)
        assert all(found[id] > time.time_ns() - 100 * SECOND for each in others for id in each)
        assert all(store.read(id) == expected for each in (old, *others) for id, expected in each.items())


def test_damaged_objects_and_packs_stay_where_they_are(tmp_path: Path) -> None:
    with ObjectStore(f"{tmp_path}/objects") as store:
        loose = fresh(3)
        store.add(loose)
        bad_loose = Path(store._loose.path_of(next(iter(loose))))
        bad_loose.write_bytes(b"x")
        first = fresh(4)
        store.add(first)
        (pack,) = store._fresh_packs()
        store.close()
        bad = Path(pack.base + ".pack")
        content = bytearray(bad.read_bytes())
        content[40] ^= 1
        bad.write_bytes(content)
        more: Objects = {}
        for count in (4, 4, 4, 4, 2, 3, 3):
            new = fresh(count)
            store.add(new)
            more.update(new)
        assert bad.read_bytes() == content
        assert Path(pack.base + ".idx").exists()
        assert bad_loose.read_bytes() == b"x"
        assert len(counts(store)) <= objects_module.PACK_BOUND
        assert store.stats().loose == 1
        assert all(store.read(id) == expected for id, expected in more.items())


def test_an_object_that_is_added_again_makes_no_other_young(tmp_path: Path) -> None:
    with ObjectStore(f"{tmp_path}/objects") as store:
        packs = [fresh(4) for _ in range(4)]
        for each in packs[:3]:
            store.add(each)
            set_times(store, each, SECOND)
        store.add(packs[3])
        assert counts(store) == [16]
        again = dict([next(iter(packs[0].items()))])
        store.add(again)
        found = times_of(store)
        young = {id for id, time_ns in found.items() if time_ns > SECOND}
        assert young == {*again, *packs[3]}
        done = store.repack((), grace_seconds=1000)
        assert done == (5, 11)
        assert times_of(store) == {id: found[id] for id in young}


@pytest.mark.parametrize("how", ["damaged", "lost", "touched"])
def test_without_its_times_a_pack_is_as_young_as_its_file(tmp_path: Path, how: str) -> None:
    with ObjectStore(f"{tmp_path}/objects") as store:
        for at in range(4):
            each = fresh(4)
            store.add(each)
            if at < 3:
                set_times(store, each, SECOND)
        (pack,) = store._fresh_packs()
        times = Path(pack.base + TIMES)
        assert sorted(times_of(store).values())[:12] == [SECOND] * 12
        if how == "damaged":
            content = bytearray(times.read_bytes())
            content[20] ^= 1
            times.write_bytes(content)
        elif how == "lost":
            times.unlink()
        else:
            os.utime(pack.base + ".pack")
        assert set(times_of(store).values()) == {os.stat(pack.base + ".pack").st_mtime_ns}


def test_readers_find_what_moved_between_two_looks(tmp_path: Path) -> None:
    """A reader that knows packs which have gone, twice in a row: it had not opened them, and its next ones go, too."""
    with ObjectStore(f"{tmp_path}/objects") as store, ObjectStore(f"{tmp_path}/objects") as reader:
        known: Objects = {}
        for _ in range(3):
            new = fresh(4)
            store.add(new)
            known.update(new)
        assert len(reader._fresh_packs()) == 3  # mapped, but none of their packs is open
        first = reader._rescan
        rounds = iter(range(3))

        def rescan_and_be_late() -> None:
            first()
            if next(rounds, None) is not None:
                for _ in range(4):
                    store.add(fresh(4))

        reader._rescan = rescan_and_be_late  # type: ignore[method-assign]
        store.add(fresh(4))
        assert counts(store) == [16]
        assert all(reader.read(id) == expected for id, expected in known.items())
        assert next(rounds, None) is None


def test_listing_and_prefixes_go_on_where_packs_went(tmp_path: Path) -> None:
    with ObjectStore(f"{tmp_path}/objects") as store, ObjectStore(f"{tmp_path}/objects") as reader:
        known: Objects = {}
        for _ in range(3):
            new = fresh(4)
            store.add(new)
            known.update(new)
        going = reader.ids()
        seen = {next(going)}
        store.add(fresh(4))
        assert counts(store) == [16]
        assert {*seen, *going} == {(id, b"tree") for id in known}
        reader.close()
        assert reader.resolve_prefix(next(iter(known)).hex()) == [(next(iter(known)), b"tree")]


def test_packs_that_went_are_closed(tmp_path: Path) -> None:
    """By whoever sees them go, over and over, and is never closed: a watch."""
    with ObjectStore(f"{tmp_path}/objects") as store, ObjectStore(f"{tmp_path}/objects") as reader:
        for _ in range(60):
            new = fresh(4)
            store.add(new)
            assert all(each.read(id) == expected for id, expected in new.items() for each in (store, reader))
        mapped = Path("/proc/self/maps").read_text().count(f"{tmp_path}/")
        opened = [os.readlink(f"/proc/self/fd/{fd.name}") for fd in os.scandir("/proc/self/fd") if fd.is_symlink()]
        assert mapped + sum(str(tmp_path) in each for each in opened) < 3 * 2 * 8, (
            "of a pack two are open, one is mapped"
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 7), st.integers(0, 30)),
        st.tuples(st.just("again"), st.integers(0, 1000), st.integers(1, 5)),
        st.tuples(st.just("gc"), st.integers(0, 30), st.integers(0, 3)),
        st.tuples(st.just("kill"), st.integers(1, 30), st.integers(1, 7)),
    ),
    max_size=25,
)


@given(STEPS)
@profile(max_examples=max(1, profile.default.max_examples // 4))
def test_any_history_loses_nothing_and_ages_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """The store against a table of what was added when; days stand for seconds, so that no clock matters."""
    day = 86400 * SECOND
    now = time.time_ns()
    objects: Objects = {}
    added: dict[bytes, tuple[int, int]] = {}  # when it was, at the earliest and at the latest
    with ObjectStore(f"{tmp_path_factory.mktemp('store')}/objects") as store:
        for step, first, second in steps:
            if step == "add":
                new = fresh(first)
                bounds = objects_module.PACK_BOUND, objects_module.LOOSE_BOUND
                objects_module.PACK_BOUND = objects_module.LOOSE_BOUND = 10_000  # the time is set, then they join
                store.add(new)
                objects_module.PACK_BOUND, objects_module.LOOSE_BOUND = bounds
                set_times(store, new, now - second * day)
                store._consolidate()
                objects.update(new)
                added.update(dict.fromkeys(new, (now - second * day,) * 2))
            elif step == "again" and objects:
                chosen = sorted(objects)[first % len(objects) :][:second]
                # A pack that is as it was written is touched as a whole: git does the same.
                homes = {store._home(id) for id in chosen}
                beside = {id for id in objects if store._home(id) in homes and len(homes) < len(chosen) + 1}
                before = time.time_ns()
                store.add({id: objects[id] for id in chosen})
                for id in beside - set(chosen):
                    added[id] = (added[id][0], time.time_ns())
                added.update(dict.fromkeys(chosen, (before - SECOND, time.time_ns() + SECOND)))
            elif step == "gc":
                keep = set(sorted(objects)[:: second + 1]) if second else set()
                limit = time.time_ns() - first * day - day // 2
                done = store.repack(keep, grace_seconds=(first + 0.5) * 86400)
                must_stay = {id for id, (early, _) in added.items() if id in keep or early > limit}
                may_stay = {id for id, (_, late) in added.items() if id in keep or late > limit}
                there = {id for id, _ in store.ids()}
                assert must_stay <= there <= may_stay
                assert done.kept == len(there)
                objects = {id: objects[id] for id in there}
                added = {id: (early, time.time_ns() if id in keep else late) for id, (early, late) in added.items()}
                added = {id: added[id] for id in there}
            elif step == "kill":
                new = fresh(second)
                before = time.time_ns()
                if killed_at(first, lambda: store.add(new)):  # noqa: B023 (called at once)
                    store.close()
                there = {id for id, _ in store.ids()} & new.keys()
                objects.update({id: new[id] for id in there})
                added.update(dict.fromkeys(there, (before - SECOND, time.time_ns() + SECOND)))
            assert all(store.read(id) == expected for id, expected in objects.items())
            found = times_of(store)
            assert found.keys() == objects.keys()
            assert all(added[id][0] <= time_ns <= added[id][1] for id, time_ns in found.items())


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Do it in a process that ends without a word at the ``number``-th change of the disk; whether it did."""
    child = os.fork()
    if child == 0:
        left = [number]

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event in ("os.rename", "os.remove", "os.utime", "os.mkdir", "os.truncate") or (
                event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            ):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_killed_at_every_change_of_a_consolidation(tmp_path: Path) -> None:
    everything: Objects = {}
    objects_module.PACK_BOUND = 10_000
    with ObjectStore(f"{tmp_path}/objects") as store:
        for at in range(4):
            new = fresh(4)
            store.add(new)
            everything.update(new)
            if at < 3:
                set_times(store, new, (at + 1) * SECOND)
        expected = times_of(store)
    for number in range(1, 100):
        path = f"{tmp_path}/{number}"
        shutil.copytree(f"{tmp_path}/objects", path)
        with ObjectStore(path) as store:
            killed = killed_at(number, lambda: join_small_packs(store._pack, store._fresh_packs()))
            assert times_of(store) == expected
            assert all(store.read(id) == payload for id, payload in everything.items())
            objects_module.PACK_BOUND = 3
            store.add(fresh(4))
            assert len(counts(store)) <= 3
            assert times_of(store).items() >= expected.items()
            objects_module.PACK_BOUND = 10_000
        if not killed:
            break
    assert number > 15


def test_a_full_disk_is_no_matter(tmp_path: Path) -> None:
    """What was added is added, and all else is there: only the files stay many."""
    with ObjectStore(f"{tmp_path}/objects") as store:
        everything: Objects = {}
        for _ in range(3):
            new = fresh(20)
            store.add(new)
            everything.update(new)
        new = fresh(4)
        everything.update(new)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))  # enough for the small pack, not for all
        try:
            store.add(new)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert counts(store) == [4, 20, 20, 20]
        assert all(store.read(id) == expected for id, expected in everything.items())
        assert not [name for name in os.listdir(store._pack) if name.startswith("tmp-")]
        store.add(fresh(4))
        assert counts(store) == [68]


def test_packs_that_were_joined_are_packs(tmp_path: Path) -> None:
    from dulwich.object_format import SHA256
    from dulwich.pack import Pack as DulwichPack

    with ObjectStore(f"{tmp_path}/objects") as store:
        everything: Objects = {}
        for _ in range(4):
            new = fresh(4)
            store.add(new)
            everything.update(new)
        (pack,) = store._fresh_packs()
        assert pack.check()
        with DulwichPack(pack.base, object_format=SHA256) as theirs:
            theirs.index.check()
            assert {id: theirs.get_raw(id) for id in everything} == {
                id: (2, payload) for id, (_, payload) in everything.items()
            }
        assert isinstance(pack, Pack)
