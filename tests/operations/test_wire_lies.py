"""Ends of a link that lie: whatever they say, the other end is understood or refuses, and keeps what it has."""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import contents, noise, snapshot, write
from head_waiting import wait_for_heads
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lying import Overheard, Told, damaged, drain

from replican.decisions import gates
from replican.effects.channel import Channel
from replican.effects.config import RemoteSettings
from replican.operations import remotes
from replican.operations.checking import check
from replican.operations.linking import hello_of
from replican.operations.recording import record
from replican.operations.serving import serve
from replican.operations.syncing import pull, sync
from replican.repository import Repository
from replican.values import messages
from replican.values.early import end_of_early
from replican.values.errors import ReplicanError
from replican.values.frames import BYTES, PREAMBLE, Deframer, encode_frame
from replican.values.ids import blob_id
from replican.values.streams import end_of_objects

UNION = frozenset([gates.ALLOW_UNRELATED])
FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "tester")
    root = tmp_path / "there"
    write(root / "letter", b"dear")
    write(root / "folder/other", bytes(2 << 20))
    os.symlink("letter", root / "link")
    with Repository.init(str(root)) as repo:
        record(repo)
    return root


def served(root: Path, said: bytes) -> None:
    """Serve to who says this, and then goes away. Only errors that are meant to be come of it."""
    (source, into), (out, target) = os.pipe(), os.pipe()
    reader = drain(out)
    writer = threading.Thread(target=lambda: (os.write(into, said), os.close(into)), daemon=True)
    writer.start()
    try:
        serve(source, target, str(root), wait=0.1)
    except ReplicanError:
        pass
    writer.join(10)
    reader.join(10)
    os.close(out)


def requests(known: list[bytes]) -> st.SearchStrategy[messages.Message]:
    ids = st.sampled_from([*known, bytes(32), b"\xff" * 32])
    lists = st.lists(ids, max_size=4)
    paths = st.sampled_from([b"", b"letter", b"folder", b"folder/other", b"link", b"nowhere", b"letter/x", b"link/x"])
    sizes = st.none() | st.sampled_from([0, 4, 5, 6, 2 << 20])
    item = st.builds(messages.Item, ids, st.booleans(), sizes, st.just(0) | st.integers(0, 3), paths)
    directory = st.builds(messages.Directory, ids, paths, st.lists(st.integers(0, 3), max_size=2))
    items = st.lists(item, min_size=1, max_size=5)
    sized = st.builds(messages.Item, ids, size=st.sampled_from([0, 4, 2 << 20, 3 << 20, 1 << 62]), path=paths)
    ranges = st.sampled_from([[(0, 1)], [(5, 10), (15, 1 << 20)], [(0, 2 << 20)], [(0, 1), ((2 << 20) - 1, 1)]])
    return st.one_of(
        st.builds(messages.Record, st.text(max_size=5), lists, st.booleans()),
        st.builds(messages.WantLog, lists, lists, st.integers(1, 5)),
        st.builds(messages.WantObjects, lists, st.booleans()),
        st.builds(messages.WantContents, items),
        st.builds(messages.WantCopies, st.lists(directory, min_size=1, max_size=3)),
        st.builds(messages.Locate, items),
        st.builds(messages.WantBlocks, st.lists(sized, min_size=1, max_size=5)),
        st.builds(messages.WantRanges, ids, st.just(2 << 20), ranges, paths, st.booleans()),
        st.builds(messages.Push, ids, st.none() | ids),
        st.builds(messages.Init),
        st.builds(messages.ListRefs),
        st.builds(messages.Recorded, ids),
        st.builds(messages.Subscribe, st.none() | ids),
        st.builds(messages.Unsubscribe),
        st.builds(messages.Bye),
    )


@FUZZ
@given(st.data())
def test_an_asker_that_asks_for_anything(there: Path, data: st.DataObject) -> None:
    with Repository(str(there)) as repo:
        head, tree = repo.head, repo.head_tree
    assert head is not None
    known = [head, tree, blob_id(b"dear"), blob_id(b"letter"), blob_id(bytes(2 << 20)), blob_id(b"")]
    asked = data.draw(st.lists(requests(known), max_size=6))
    said = PREAMBLE + messages.encode_message(hello_of(""))
    for message in asked:
        said += messages.encode_message(message)
        if isinstance(message, messages.Push):
            said += encode_frame(2, data.draw(st.sampled_from([end_of_objects(), b"t\0\0\0\0.", b"c\0\0\0\1x.", b"x"])))
    before = snapshot(there)
    served(there, said)
    assert snapshot(there) == before
    with Repository(str(there)) as repo:
        assert repo.head == head


@FUZZ
@given(st.binary(max_size=200), st.booleans())
def test_an_asker_that_says_anything(there: Path, said: bytes, greeted: bool) -> None:
    before = snapshot(there)
    served(there, PREAMBLE + messages.encode_message(hello_of("")) + said if greeted else said)
    assert snapshot(there) == before


# -- an answerer that lies ---------------------------------------------------------------------------------------


def asker(root: Path, link: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setattr(remotes, "start", lambda *_: link())
    repo = Repository.init(str(root))
    repo.config.set_remote("origin", RemoteSettings("host:there"))
    return repo


def conversation(there: Path, here: Path, monkeypatch: pytest.MonkeyPatch, union: bool = False) -> bytes:
    """What a true answerer says during a pull."""
    links: list[Overheard] = []

    def link() -> Overheard:
        links.append(Overheard(there))
        return links[-1]

    with asker(here, link, monkeypatch) as repo:
        pull(repo, "origin", allowed=UNION if union else frozenset())
    assert union or contents(here) == contents(there)
    (only,) = links
    return only.said


def test_an_answerer_that_lies(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of a conversation may be another one: all of it is taken over, or what was here stays as it was."""
    said = conversation(there, tmp_path / "first", monkeypatch)
    rng = random.Random(7)
    outcomes = set()
    for number in range(120):
        here = tmp_path / f"here{number}"
        write(here / "mine", b"m")
        with asker(here, lambda at=number: Told(damaged(said, rng) if at else said), monkeypatch) as repo:
            try:
                pull(repo, "origin")
                outcomes.add("came")
            except ReplicanError as error:
                outcomes.add(error.code)
            found = contents(here)
            assert found.pop("mine") == b"m"
            for path, content in found.items():
                assert content == contents(there)[path]
            assert check(repo, content=True).damage == []
    assert {"came", "protocol", "link"} <= outcomes


def test_an_answerer_that_lies_about_blocks(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same while a file comes by its blocks: no byte makes another file of it."""
    old = bytes(3 << 20) + noise(1 << 20)
    new = noise(50_000) + old + noise(70_000)
    write(there / "folder/other", new)
    write(tmp_path / "first/folder/other", old)
    said = conversation(there, tmp_path / "first", monkeypatch, union=True)
    assert len(said) < 600_000
    rng = random.Random(11)
    outcomes = set()
    for number in range(80):
        here = tmp_path / f"here{number}"
        write(here / "folder/other", old)
        with asker(here, lambda at=number: Told(damaged(said, rng) if at else said), monkeypatch) as repo:
            try:
                pull(repo, "origin", allowed=UNION)
                outcomes.add("came")
            except ReplicanError as error:
                outcomes.add(error.code)
            for path in here.rglob("*"):
                if path.is_file() and ".replican" not in path.parts:
                    assert path.read_bytes() in (old, new, b"dear")
            assert check(repo, content=True).damage == []
    assert {"came", "protocol", "link"} <= outcomes


def test_an_answerer_that_names_what_it_has_not(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push is answered by requests: only content whose id is known can be had, whatever path is named."""
    here = tmp_path / "here"
    write(tmp_path / "secret", b"secret")
    write(here / "mine", b"m")
    hello, recorded = messages.encode_message(hello_of("")), messages.encode_message(messages.Recorded(None))
    wants = messages.encode_message(messages.WantContents([messages.Item(blob_id(b"m"), size=1, path=b"nowhere")]))
    bad = encode_frame(
        1, messages._encoder.encode(messages.WantContents([messages.Item(bytes(32), path=b"../secret")]))
    )
    told = PREAMBLE + hello + encode_frame(BYTES, end_of_early()) + recorded + wants + bad
    with asker(here, lambda: Told(told), monkeypatch) as repo, pytest.raises(ReplicanError, match="not allowed"):
        sync(repo, "origin")


class Lying:
    """A link at the far end of which each :class:`Subscribe` is answered by what comes next in ``said``: frames, all at
    once. After the last it goes away."""

    def __init__(self, said: list[list[bytes]]) -> None:
        (source, self._into), (self._out, target) = os.pipe(), os.pipe()
        self._said = said
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()
        self.channel = Channel(source, target)

    def _answer(self) -> None:
        deframer = Deframer()
        left = [PREAMBLE + messages.encode_message(hello_of("")), *map(b"".join, self._said)]
        try:
            while left:
                frame = deframer.take()
                if frame is None:
                    deframer.feed(os.read(self._out, 1 << 16))
                elif isinstance(messages.decode_message(frame.body), messages.Hello | messages.Subscribe):
                    answer = left.pop(0)
                    while answer:
                        answer = answer[os.write(self._into, answer) :]
            # Who goes away in the moment after the last word may be noticed before it is heard.
            while self._said[-1] and os.read(self._out, 1 << 16):
                pass
        except OSError:
            pass
        os.close(self._into)

    def close(self) -> int:
        self.channel.close()
        self._thread.join(10)
        os.close(self._out)
        return 0


def frame_of(said: object) -> bytes:
    return encode_frame(2, said) if isinstance(said, bytes) else encode_frame(1, messages._encoder.encode(said))


ONE, TWO = messages.Moved(b"1" * 32), messages.Moved(b"2" * 32)


@pytest.mark.parametrize(
    ("said", "told", "why"),
    [
        ([[messages.Moved(None)]], 0, "to where it was"),
        ([[ONE], [ONE]], 1, "to where it was"),
        ([[ONE], [TWO], [ONE], []], 3, "went away"),
        ([[ONE, TWO]], 1, "not asked"),
        ([[ONE, ONE]], 1, "not asked"),
        ([[ONE, TWO] * 25_000], 1, "not asked"),
        ([[messages.Recorded(None)]], 0, "not asked"),
        ([[messages.Failed("refused", "no")]], 0, "no"),
        ([[b"x"]], 0, "stream"),
        ([[{"type": "moved", "head": b"1" * 31}]], 0, "none"),
        ([[{"type": "moved", "head": "1" * 32}]], 0, "none"),
        ([[{"type": "moved"}]], 0, "none"),
        ([[]], 0, "went away"),
    ],
)
def test_an_answerer_that_lies_about_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[list[object]], told: int, why: str
) -> None:
    """Nothing comes of it but the end of this link."""
    link = Lying([[frame_of(each) for each in answer] for answer in said])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    with (
        asker(tmp_path / "here", lambda: link, monkeypatch) as repo,
        remotes.opened_remote(repo, "origin") as remote,
        remote.lookout() as lookout,
    ):
        heard = 0
        while not (found := wait_for_heads([lookout], 20)).lost:
            assert found.moved
            heard += len(found.moved)
        assert heard == told
        assert why in found.lost["origin"].message
        if why != "no":  # which is an answer, and leaves the link as it is
            with pytest.raises(ReplicanError):
                lookout.news()
        assert repo.head is None
