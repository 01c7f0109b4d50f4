"""Small files that are asked for by the trees of their directories: they are checked as all is."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from folders import assert_equal, write
from linked import LIES, Link, clone

from replican.effects import copies, faraway, preparing, reflecting
from replican.effects.copies import CopyTaker
from replican.effects.reflecting import CopySender
from replican.operations import supplying
from replican.operations.linking import hello_of
from replican.operations.recording import record
from replican.operations.syncing import sync
from replican.repository import Repository
from replican.values import messages, streams
from replican.values.errors import DamagedError, FarError, LinkError, ProtocolError
from replican.values.frames import BYTES, Frame, piece_of
from replican.values.ids import blob_id
from replican.values.streams import CopiedFile, encode_copies
from replican.values.trees import DIRECTORY


@pytest.fixture
def recorded(there: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, when it has a log."""
    monkeypatch.setattr(preparing, "_ONE_BY_ONE", 10)
    write(there / "2/large", bytes(300_000))
    for name in ("2/twice", "4/twice"):
        write(there / name, b"the same" * 1000)
    write(there / "empty/empty", b"")
    with Repository.init(str(there)) as repo:
        record(repo)
    return there


BY_ID = [(False, 1), (False, 10), (False, 8000), (False, 300_000), (True, 3)]
"""Two at the top, what is there twice, what is large, and the link."""


@pytest.mark.parametrize("forked", [False, True], ids=["here", "there"])
@pytest.mark.parametrize("packed", [False, True], ids=["as they are", "packed"])
def test_whole_directories_are_asked_for(
    recorded: Path,
    asked: list[messages.Item],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked: bool,
    packed: bool,
) -> None:
    if forked:
        monkeypatch.setattr(streams, "PIECE_BYTES", 100)
        monkeypatch.setattr(copies, "_FORK_FROM", 1)
        monkeypatch.setattr(reflecting, "_FORK_FILES", 1)
        monkeypatch.setattr(reflecting, "_BATCH_FILES", 5)
    if not packed:
        monkeypatch.setattr(messages, "ABLE", messages.ABLE - {messages.ZSTD})
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert sorted((item.link, item.size) for item in asked) == BY_ID


def test_whole_directories_of_who_pushes(recorded: Path, asked: list[messages.Item], tmp_path: Path) -> None:
    clone(tmp_path / "here")
    for number in range(40):
        write(tmp_path / f"here/new/{number % 3}/{number}", b"new %d" % number)
    write(tmp_path / "here/new/0/known", b"the same" * 1000)
    asked.clear()
    with Repository(str(tmp_path / "here")) as repo:
        synced = sync(repo, "origin")
    assert synced.equal
    assert_equal(recorded, tmp_path / "here")
    assert asked == []


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("what", ["other bytes", "no tree", "damaged tree", "cannot", "nothing"])
def test_files_that_do_not_come_with_their_directory(
    recorded: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    read = CopySender._files
    if what == "other bytes":
        monkeypatch.setattr(
            CopySender, "_files", lambda *args: [each._replace(content=b"x" + each.content[1:]) for each in read(*args)]
        )
    elif what == "no tree":
        directory = messages.Directory
        monkeypatch.setattr(messages, "Directory", lambda id, path, left_out: directory(bytes(32), path, left_out))
    elif what == "damaged tree":
        monkeypatch.setattr(supplying, "Sending", lambda *_: raise_(DamagedError("a tree")))
    elif what == "cannot":
        monkeypatch.setattr(messages, "ABLE", messages.ABLE - {messages.COPIES})
    else:
        monkeypatch.setattr(CopySender, "_files", lambda *_: [])
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert len(asked) > 50


def test_a_file_that_has_changed_is_not_sent_as_it_is_now(
    recorded: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content is asked for by its id; it is recorded once more then."""
    sent: list[bytes] = []
    encode = reflecting.encode_copies

    def edit(path: bytes, files: list[CopiedFile]) -> list[streams.CopyRecord]:
        sent.extend(each.content for each in files)
        return encode(path, files)

    begin = CopySender.begin

    def first(sender: CopySender, directories: list[reflecting.Sending]) -> int:
        write(recorded / "1/6", b"edited")
        return begin(sender, directories)

    monkeypatch.setattr(reflecting, "encode_copies", edit)
    monkeypatch.setattr(CopySender, "begin", first)
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert (tmp_path / "here/1/6").read_bytes() == b"edited"
    assert sent
    assert b"edited" not in sent


def test_a_file_that_looks_as_it_was_recorded_is_looked_at_by_who_takes_it(
    recorded: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size and time are the same: it is sent, and is not what was wanted."""
    file, begin = recorded / "1/6", CopySender.begin
    sent: list[bytes] = []
    encode = reflecting.encode_copies

    def first(sender: CopySender, directories: Sequence[reflecting.Sending]) -> int:
        if not sent:
            time_ns = file.stat().st_mtime_ns
            file.write_bytes(b"edited")
            os.utime(file, ns=(time_ns, time_ns))
        return begin(sender, directories)

    def watch(path: bytes, files: list[CopiedFile]) -> list[streams.CopyRecord]:
        sent.extend(each.content for each in files)
        return encode(path, files)

    monkeypatch.setattr(reflecting, "encode_copies", watch)
    monkeypatch.setattr(CopySender, "begin", first)
    clone(tmp_path / "here")
    assert b"edited" in sent
    assert blob_id(b"6" * 6) in [item.id for item in asked]
    assert_equal(recorded, tmp_path / "here")
    assert (tmp_path / "here/1/6").read_bytes() == b"edited"


@pytest.fixture
def in_many_streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each directory is a stream, which other processes read; when these begin and end."""
    monkeypatch.setattr(faraway, "AT_ONCE", 1)
    monkeypatch.setattr(reflecting, "_FORK_FILES", 1)
    begin, finish, told = CopySender.begin, CopySender.finish, list[str]()

    def beginning(sender: CopySender, directories: Sequence[reflecting.Sending]) -> int:
        stream = begin(sender, directories)
        told.append(f"begin {stream}")
        return stream

    def finishing(sender: CopySender, stream: int, meanwhile: Callable[[], None]) -> int:
        count = finish(sender, stream, meanwhile)
        told.append(f"end {stream}")
        return count

    monkeypatch.setattr(CopySender, "begin", beginning)
    monkeypatch.setattr(CopySender, "finish", finishing)
    return told


def test_the_next_stream_is_begun_before_one_ends(
    recorded: Path, asked: list[messages.Item], in_many_streams: list[str], tmp_path: Path
) -> None:
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert sorted((item.link, item.size) for item in asked) == BY_ID
    count = len(in_many_streams) // 2
    assert count > 4
    assert [each for each in in_many_streams if each.startswith("end")] == [f"end {n + 1}" for n in range(count)]
    assert any(in_many_streams.index(f"begin {n + 1}") < in_many_streams.index(f"end {n}") for n in range(1, count))


def test_what_was_begun_before_an_error_is_begun_again(
    recorded: Path, in_many_streams: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one request fails; and the next one, which was looked at already, is answered."""
    finish, failed = CopySender.finish, list[int]()

    def fail(sender: CopySender, stream: int, meanwhile: Callable[[], None]) -> int:
        def late() -> None:
            meanwhile()
            if not failed and f"begin {stream + 1}" in in_many_streams:
                failed.append(stream)
                raise DamagedError("not now")

        return finish(sender, stream, late)

    monkeypatch.setattr(CopySender, "finish", fail)
    with Repository(str(recorded)) as repo:
        one, other = [entry for entry in repo.tree(repo.head_tree) if entry.kind == DIRECTORY][:2]
    link = Link(recorded)
    channel = link.channel
    channel.send(hello_of("", channel.terms))
    channel.receive()
    for entry in (one, other):
        channel.send(messages.WantCopies([messages.Directory(entry.id, entry.name, [])]))
    with pytest.raises(FarError, match="not now"):
        list(iter(channel.frame, None))
    came: set[bytes] = set()
    while (frame := channel.frame()) != Frame(BYTES, streams.END_OF_COPIES):
        came.update(path for path, _ in streams.read_copies(piece_of(frame)))
    channel.send(messages.Bye())
    link.close()
    assert failed == [1]
    assert came == {other.name}


@pytest.mark.parametrize("forked", [False, True], ids=["here", "there"])
def test_frames_that_are_no_copies_end_the_link(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: bool
) -> None:
    monkeypatch.setattr(copies, "_FORK_FROM", 0 if forked else 100)
    monkeypatch.setattr(reflecting, "frame_copies", lambda records, frame: frame(b"d...") if records else b"")
    with pytest.raises(ProtocolError, match="origin broke the protocol: a record of copies came"):
        clone(tmp_path / "here")


@pytest.mark.parametrize("forked", [False, True], ids=["here", "there"])
def test_a_cut_costs_what_was_in_flight(
    recorded: Path, asked: list[messages.Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: bool
) -> None:
    monkeypatch.setattr(streams, "PIECE_BYTES", 100)
    monkeypatch.setattr(copies, "_FORK_FROM", 0 if forked else 100)
    take, came = CopyTaker._take, list[Frame]()

    def cut(taker: CopyTaker, frame: Frame) -> None:
        if len(came) == 5:
            raise LinkError("cut")
        came.append(frame)
        take(taker, frame)

    with monkeypatch.context() as patched:
        patched.setattr(CopyTaker, "_take", cut)
        with pytest.raises(LinkError, match="cut"):
            clone(tmp_path / "here")
    before = {file.name for frame in came for _, files in streams.read_copies(piece_of(frame)) for file in files}
    again: list[bytes] = []
    encode = reflecting.encode_copies

    def watch(path: bytes, files: list[CopiedFile]) -> list[streams.CopyRecord]:
        again.extend(each.name for each in files if each.content)
        return encode(path, files)

    monkeypatch.setattr(reflecting, "encode_copies", watch)
    clone(tmp_path / "here")
    assert_equal(recorded, tmp_path / "here")
    assert len(before) > 5
    assert again
    assert before.isdisjoint(again)


@pytest.mark.parametrize("lies", LIES.values(), ids=list(LIES))
def test_copies_that_were_not_asked_for(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies: list[tuple[bytes, CopiedFile]]
) -> None:
    """They come before those that were."""
    finish, told = CopySender.finish, list[bytes]()

    def lie(sender: CopySender, stream: int, meanwhile: Callable[[], None]) -> int:
        for above, file in lies:
            told.append(file.name)
            sender._frames.send(streams.frame_copies(encode_copies(above, [file]), sender._frames.frame))
        return finish(sender, stream, meanwhile)

    monkeypatch.setattr(CopySender, "finish", lie)
    clone(tmp_path / "here")
    assert told
    assert_equal(recorded, tmp_path / "here")
