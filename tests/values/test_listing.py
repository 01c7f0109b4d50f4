"""Rows and their packed form."""

import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.errors import MalformedError
from replican.values.listing import (
    RACY_COARSE_NS,
    RACY_NS,
    SMUDGED,
    Row,
    Stat,
    clamp_time,
    decode_listing,
    digest_of_rows,
    encode_listing,
    is_racy,
    listing_ids,
    listing_totals,
    stat_digest,
)
from replican.values.trees import DIRECTORY, FILE, LINK, Entry

EDGES = [0, 1, -1, (1 << 63) - 1, 1 - (1 << 63), 1_700_000_000_123_456_789]


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Up to twelve rows with anything in them."""
    chance = random.Random(draw(st.integers(0, 1 << 32)))
    names = {chance.randbytes(chance.choice([1, 3, 255])).replace(b"\0", b"x") for _ in range(chance.randrange(13))}

    def time_ns() -> int:
        return chance.choice([*EDGES, chance.getrandbits(62)])

    made = []
    for name in sorted(names):
        kind = chance.choice([FILE, DIRECTORY, LINK])
        size, mtime, ctime = (0, 0, 0) if kind == DIRECTORY else (abs(time_ns()), time_ns(), time_ns())
        disk_mtime = mtime if kind == DIRECTORY or chance.random() < 0.5 else time_ns()
        mode, ino = chance.randrange(0o10000), chance.getrandbits(64)
        made.append(Row(name, kind, mode & 0o777, size, mtime, chance.randbytes(32), mode, disk_mtime, ctime, ino))
    return made


def row(name: bytes = b"name", kind: bytes = FILE, ctime_ns: int = 5, ino: int = 1) -> Row:
    return Row(name, kind, 0o644, 3, 7, bytes(range(32)), 0o644, 7, ctime_ns, ino)


@given(rows())
def test_a_listing_unpacks_to_what_was_packed(listed: list[Row]) -> None:
    blob = encode_listing(listed)
    assert decode_listing(blob) == listed
    assert encode_listing(decode_listing(blob)) == blob
    assert listing_ids(blob) == [each.id for each in listed]
    files = [each for each in listed if each.kind != DIRECTORY]
    assert listing_totals(blob) == (len(files), min(sum(each.size for each in files), (1 << 63) - 1))


@given(rows(), st.randoms(use_true_random=False))
def test_no_changed_bit_goes_unnoticed(listed: list[Row], chance: random.Random) -> None:
    blob = bytearray(encode_listing(listed))
    blob[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
    with pytest.raises(MalformedError):
        decode_listing(bytes(blob))


@given(rows(), st.integers(0, 1 << 20))
def test_no_missing_end_goes_unnoticed(listed: list[Row], at: int) -> None:
    blob = encode_listing(listed)
    with pytest.raises(MalformedError):
        decode_listing(blob[: at % len(blob)])
    with pytest.raises(MalformedError):
        decode_listing(blob + b"\0")


@pytest.mark.parametrize("short", [b"", b"\1", b"\1" * 20])
def test_a_scrap_is_refused(short: bytes) -> None:
    for read in (decode_listing, listing_totals, listing_ids):
        with pytest.raises(MalformedError):
            read(short)


def test_a_row_has_its_entry() -> None:
    assert row().entry == Entry(b"name", FILE, 0o644, 3, 7, bytes(range(32)))


def test_twenty_rows_take_some_90_bytes_each() -> None:
    listed = [row(b"file%06d.txt" % number, ino=number) for number in range(20)]
    assert len(encode_listing(listed)) < 20 * 95


@given(rows(), st.randoms(use_true_random=False))
def test_a_digest_does_not_depend_on_the_order(listed: list[Row], chance: random.Random) -> None:
    mixed = [*listed]
    chance.shuffle(mixed)
    assert digest_of_rows(mixed) == digest_of_rows(listed)


def test_a_digest_sees_every_field() -> None:
    before = ("name", 0o100644, 1, 2, 3, 4)
    digests = {stat_digest([before]), stat_digest([]), stat_digest([before, ("other", 0o100644, 1, 2, 3, 4)])}
    digests.add(stat_digest([("other", 0o100644, 1, 2, 3, 4)]))
    digests.add(stat_digest([("name", 0o100755, 1, 2, 3, 4)]))
    digests.add(stat_digest([("name", 0o100644, 9, 2, 3, 4)]))
    digests.add(stat_digest([("name", 0o100644, 1, 9, 3, 4)]))
    digests.add(stat_digest([("name", 0o100644, 1, 2, 9, 4)]))
    digests.add(stat_digest([("name", 0o100644, 1, 2, 3, 9)]))
    assert len(digests) == 9


def test_a_digest_of_equal_items_is_equal_whoever_holds_them() -> None:
    name = "".join(["na", "me"])
    held: list[Stat] = [(name, 0o100644, 1, 2, 3, 4)]
    kept = [held[0], name, name]
    assert stat_digest(held) == stat_digest([("".join(["nam", "e"]), 0o100644, 1, 2, 3, 4)])
    assert kept


def test_rows_digest_as_the_disk_does(tmp_path: Path) -> None:
    names = [b"plain", b"caf\xc3\xa9", b"\xff\xfe", b"new\nline"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    items: list[Stat] = []
    listed: list[Row] = []
    for entry in os.scandir(tmp_path):
        now = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            items.append((entry.name, now.st_mode, now.st_ino))
            listed.append(Row(b"sub", DIRECTORY, 0, 0, 0, bytes(32), now.st_mode & 0o7777, 0, 0, now.st_ino))
        else:
            items.append((entry.name, now.st_mode, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))
            kind = LINK if entry.is_symlink() else FILE
            listed.append(
                Row(
                    os.fsencode(entry.name), kind, 0, now.st_size, 1, bytes(32), now.st_mode & 0o7777, now.st_mtime_ns,
                    now.st_ctime_ns, now.st_ino,
                )
            )  # fmt: skip
    others = items[:1]
    items.sort()
    assert digest_of_rows(listed) == stat_digest(items)
    assert digest_of_rows(listed[1:], others) == stat_digest(items)


def test_smudged_rows_have_no_digest() -> None:
    assert digest_of_rows([row(b"a"), row(b"b", ctime_ns=SMUDGED)]) is None
    assert digest_of_rows([row(b"a"), row(b"b", DIRECTORY, ctime_ns=0)]) is not None


def test_what_changed_a_moment_ago_may_change_again_unseen() -> None:
    now = time.time_ns() // 1_000_000_000 * 1_000_000_000 + 500_000_000
    assert is_racy(now, now)
    assert is_racy(now - RACY_NS + 1, now)
    assert not is_racy(now - RACY_NS, now)
    assert is_racy(now + 3600 * 10**9, now), "a clock that was set back"
    whole = now - 500_000_000
    assert is_racy(whole, whole + RACY_COARSE_NS - 1), "a file system that keeps whole seconds"
    assert not is_racy(whole, whole + RACY_COARSE_NS)


def test_a_row_settles_with_time() -> None:
    young, old = row(ctime_ns=10**18 + 1), row(ctime_ns=10**18 - 10**9 + 1)
    assert young.settled(10**18).is_smudged
    assert old.settled(10**18) == old
    given = young._replace(disk_mtime_ns=10**18 + 1 - RACY_NS)
    assert given.placed(10**18) == given
    assert given._replace(disk_mtime_ns=10**18 + 2 - RACY_NS).placed(10**18).is_smudged
    assert given._replace(disk_mtime_ns=2 * 10**18).placed(10**18).is_smudged, "a time to come"
    assert given._replace(disk_mtime_ns=10**18 - 10**9).placed(10**18).is_smudged, "whole seconds"
    assert old._replace(disk_mtime_ns=10**18).placed(10**18) == old._replace(disk_mtime_ns=10**18)
    directory = row(kind=DIRECTORY, ctime_ns=0)
    assert directory.settled(10**18) == directory
    assert not directory.is_smudged


@pytest.mark.parametrize(
    ("time_ns", "kept"), [(0, 0), (-(1 << 62), -(1 << 62)), (1 << 63, (1 << 63) - 1), (-(1 << 70), 1 - (1 << 63))]
)
def test_times_are_kept_within_what_a_tree_holds(time_ns: int, kept: int) -> None:
    assert clamp_time(time_ns) == kept


def test_a_disk_time_out_of_range_is_packed_clamped() -> None:
    packed = decode_listing(encode_listing([row()._replace(disk_mtime_ns=1 << 64)]))
    assert packed[0].disk_mtime_ns == (1 << 63) - 1
