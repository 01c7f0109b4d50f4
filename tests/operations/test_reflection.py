"""A first clone over a link: what is read over there for the first checkpoint is copied here, and checked as all is."""

import os
from pathlib import Path

import pytest
from folders import assert_equal, contents, write
from linked import LIES, Link, clone

from replican.effects import reading, reflecting
from replican.effects.channel import Channel
from replican.effects.forkpool import beside
from replican.effects.gleaning import glean
from replican.effects.mirror import PLACE, Mirror
from replican.effects.reflecting import Reflection
from replican.effects.staging import Stage
from replican.operations import serving
from replican.operations.recording import record
from replican.operations.wired import WiredRemote
from replican.repository import Repository
from replican.values import messages, streams
from replican.values.errors import RefusedError
from replican.values.frames import BYTES, PACKED, PREAMBLE, Deframer, piece_of
from replican.values.ids import blob_id
from replican.values.streams import CopiedFile, encode_copies
from replican.values.trees import FILE, Entry


def test_small_files_are_not_asked_for(there: Path, asked: list[messages.Item], tmp_path: Path) -> None:
    write(there / "2/large", bytes(300_000))
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert sorted((item.link, item.size) for item in asked) == [(False, 300_000), (True, 3)]


@pytest.mark.parametrize("batch", [2, 250], ids=["in parts", "whole"])
def test_what_other_processes_read_comes_too(
    there: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """A directory that is read in parts comes in parts."""
    monkeypatch.setattr(reading, "FORK_FILES", 3)
    monkeypatch.setattr(reading, "_BATCH_FILES", batch)
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert [item.link for item in asked] == [True]


def test_where_there_is_too_little_room_nothing_is_kept(
    there: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on the usual way, whose gates know how much there has to be."""
    monkeypatch.setattr(streams, "PIECE_BYTES", 100)  # a frame for each directory
    rooms = iter([True] * 3)
    monkeypatch.setattr(Mirror, "has_room", lambda *_: next(rooms, False))
    forget = Mirror.forget
    left: list[list[Path]] = []

    def watch(mirror: Mirror) -> None:
        forget(mirror)
        left.append(list((tmp_path / "here/.replican/stage").glob(PLACE.decode())))

    monkeypatch.setattr(Mirror, "forget", watch)
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert left == [[]]
    assert len(asked) > 50


def test_of_a_folder_with_a_log_nothing_is_read_ahead(there: Path, asked: list[messages.Item], tmp_path: Path) -> None:
    with Repository.init(str(there)) as repo:
        record(repo)
    write(there / "new", b"n")
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert len(asked) > 50


def test_an_end_that_cannot_is_not_asked_to(
    there: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "ABLE", frozenset())
    clone(tmp_path / "here")
    assert_equal(there, tmp_path / "here")
    assert len(asked) > 50


@pytest.mark.parametrize("lies", LIES.values(), ids=list(LIES))
def test_copies_that_are_none(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies: list[tuple[bytes, CopiedFile]]
) -> None:
    """They come before the true ones."""
    directory = Reflection.directory
    left = list(lies)

    def lie(reflection: Reflection, path: bytes, mode: int):  # type: ignore[no-untyped-def]
        while left:
            above, file = left.pop()
            reflection.send(reflection.packed(encode_copies(above, [file])))
        return directory(reflection, path, mode)

    monkeypatch.setattr(Reflection, "directory", lie)
    clone(tmp_path / "here")
    assert not left
    assert contents(tmp_path / "here") == contents(there)
    assert_equal(there, tmp_path / "here")


def test_other_permissions_than_those_that_the_log_has(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lie(path: bytes, files: list[CopiedFile]) -> list[streams.CopyRecord]:
        told.append(path)
        return encode_copies(path, [each._replace(perm=0o777) for each in files])

    told: list[bytes] = []
    monkeypatch.setattr(reflecting, "encode_copies", lie)
    clone(tmp_path / "here")
    assert b"1" in told
    assert_equal(there, tmp_path / "here")


def test_what_an_interrupted_run_has_built_is_found_by_its_ids(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    place = stage / PLACE.decode()
    write(place / "a/b/file", b"dear")
    write(place / "top", b"half of i")
    write(place / "again", b"dear")
    os.symlink("top", place / "a/link")
    write(stage / "tree-0123/file", b"built")
    write(stage / "other/file", b"other")
    with Stage(str(stage)) as opened:
        glean(opened)
        blobs = {blob_id(content).hex() for content in (b"dear", b"half of i", b"built")}
        assert {path.name for path in stage.iterdir()} == {*blobs, "other"}
        glean(opened)
        assert opened.find_landed(Entry(b"x", FILE, 0o644, 4, 0, blob_id(b"dear")))
        assert not opened.find_landed(Entry(b"x", FILE, 0o644, 5, 0, blob_id(b"other")))


def test_what_was_not_sent_when_it_failed_does_not_come_later(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(repo: Repository, name: str, *, mirror: Reflection) -> None:
        mirror.send.__self__._channel.put(b"some of a stream that is not whole")  # type: ignore[attr-defined]
        raise RefusedError("not now")

    with Repository.init(str(tmp_path / "here")) as repo, Stage(f"{repo.dotdir}/stage") as stage:
        link = Link(there)
        remote = WiredRemote("origin", "host:there", lambda: link, repo)  # type: ignore[arg-type,return-value]
        remote.init()
        mirror = Mirror(stage)
        with monkeypatch.context() as patched:
            patched.setattr(serving, "record_for", fail)
            with pytest.raises(RefusedError, match="not now"):
                remote.refresh(mirror=mirror)
        remote.refresh(mirror=Mirror(stage))
        remote.close()
        copies = tmp_path / "here/.replican/stage" / PLACE.decode()
        assert (copies / "1/6").read_bytes() == b"6" * 6
        assert not (copies / "1/more").exists()


@pytest.mark.parametrize("packs", [False, True], ids=["as they are", "packed"])
def test_on_a_link_that_takes_more_some_frames_go_as_they_are(packs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    (source, told), (out, target) = os.pipe(), os.pipe()
    channel = Channel(source, target)
    if packs:
        channel.compress()
    frames = reflecting.CopyFrames(channel)
    text = b"some text " * 100
    deframer = Deframer()
    deframer.feed(PREAMBLE)

    def kinds() -> list[int]:
        deframer.feed(b"".join(frames.frame(text) for _ in range(6)))
        taken = [deframer.take() for _ in range(6)]
        assert [piece_of(frame) for frame in taken if frame is not None] == [text] * 6
        return [frame.kind for frame in taken if frame is not None]

    packed = PACKED if packs else BYTES
    assert kinds() == [packed] * 6
    monkeypatch.setattr(reflecting, "after", lambda ease, count, now: ease._replace(before=1.0))
    frames.send(frames.frame(text))
    with beside(kinds) as other:  # what is seen here is known there
        assert sorted(other.result()) == sorted([BYTES, packed, packed] * 2)
    monkeypatch.setattr(reflecting, "after", lambda ease, count, now: ease._replace(is_over=True))
    frames.send(frames.frame(text))
    assert kinds() == [packed] * 6
    channel.close()
    os.close(told)
    os.close(out)
