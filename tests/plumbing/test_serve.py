"""The far end of a link, spoken to byte by byte and message by message."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from folders import contents, write

from replican.effects.channel import Channel
from replican.operations.linking import hello_of
from replican.operations.recording import record
from replican.repository import Repository
from replican.values import messages
from replican.values.early import end_of_early
from replican.values.errors import FarError
from replican.values.ids import blob_id
from replican.values.streams import (
    FROM_FOLDER,
    GONE,
    encode_object,
    end_of_objects,
    read_answer,
    read_end,
    read_objects,
)

ID = bytes(32)


class Far:
    """A server as a process, and this end of the link to it."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        assert child.stdin
        assert child.stdout
        self.child = child
        self.channel = Channel(os.dup(child.stdout.fileno()), os.dup(child.stdin.fileno()))
        child.stdout.close()
        child.stdin.close()

    def meet(self) -> messages.Hello:
        self.channel.send(hello_of("0123456789abcdef"))
        hello = self.channel.receive()
        assert isinstance(hello, messages.Hello)
        return hello

    def ask(self, message: messages.Message) -> messages.Message:
        self.channel.send(message)
        return self.channel.receive()

    def end(self) -> int:
        self.channel.close()
        return self.child.wait(60)


Served = Callable[..., "Iterator[Far]"]


@pytest.fixture
def served(program: Sequence[str], environment: dict[str, str], tmp_path: Path):  # type: ignore[no-untyped-def]
    @contextmanager
    def run(*words: str) -> Iterator[Far]:
        child = subprocess.Popen(
            [*program, "serve", *words], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        far = Far(child)
        try:
            yield far
        finally:
            far.channel.close()
            child.kill()
            child.wait()

    return run


@pytest.fixture
def there(tmp_path: Path) -> Path:
    root = tmp_path / "there"
    Repository.init(str(root)).close()
    write(root / "letter", b"dear")
    return root


def test_it_has_to_be_told_how(cli) -> None:
    assert "--stdio" in cli("serve", code=2).err


def test_a_conversation(served, there: Path) -> None:
    with served("--stdio", "--root", str(there)) as far:
        hello = far.meet()
        with Repository(str(there)) as repo:
            assert (hello.peer, hello.replica, hello.read_only) == (repo.config.peer_id, True, False)
        told = far.ask(messages.Record("origin"))
        assert isinstance(told, messages.Recorded)
        assert told.head is not None
        assert far.ask(messages.ListRefs()) == messages.Refs([messages.Ref("head", told.head)])
        far.channel.send(messages.WantLog([told.head], [], 10))
        kinds = [kind for _, kind, _ in read_objects(far.channel.stream())]
        assert kinds == [b"commit", b"tree"]
        far.channel.send(messages.WantContents([messages.Item(blob_id(b"dear"), size=4), messages.Item(ID)]))
        reader = far.channel.stream()
        assert read_answer(reader, 4, 0, 4).letter == FROM_FOLDER
        assert reader.take(4) == b"dear"
        assert read_end(reader)
        assert read_answer(reader, None, 0, 9).letter == GONE
        far.channel.send(messages.Bye())
        assert far.end() == 0


def test_a_summary_only_for_who_knows_nothing_of_the_log(served, there: Path) -> None:
    heads = []
    for number in range(9):
        write(there / "letter", b"%d" % number)
        with Repository(str(there)) as repo:
            heads.append(record(repo).head)
    with served("--stdio", "--root", str(there)) as far:
        far.meet()
        for known, sample in (
            ([], [heads[7], heads[6], heads[4], heads[0]]),
            ([ID], [heads[7], heads[6], heads[4], heads[0]]),
            ([heads[8]], []),
            ([ID, heads[2]], []),
        ):
            told = far.ask(messages.Record("origin", known))
            assert isinstance(told, messages.Recorded)
            assert (told.head, told.sample) == (heads[8], sample)
        far.channel.send(messages.WantLog([heads[8]], [heads[5]], 100))
        assert [kind for _, kind, _ in read_objects(far.channel.stream())] == [b"commit", b"tree"] * 3
        far.channel.send(messages.WantLog([heads[8]], [], 2))
        assert [kind for _, kind, _ in read_objects(far.channel.stream())] == [b"commit", b"tree"] * 2


def test_whoever_waits_for_the_head_hears_of_edits(served, there: Path) -> None:
    with served("--stdio", "--root", str(there)) as far:
        far.meet()
        told = far.ask(messages.Record("origin"))
        assert isinstance(told, messages.Recorded)
        far.channel.send(messages.Subscribe(told.head))
        write(there / "letter", b"an edit")
        moved = far.channel.receive()
        assert isinstance(moved, messages.Moved)
        with Repository(str(there)) as repo:
            assert repo.head == moved.head != told.head


def test_there_is_no_folder(served) -> None:
    with served("--stdio", "--root", "nowhere") as far:
        with pytest.raises(FarError, match="there is no folder at") as caught:
            far.meet()
        assert caught.value.told == "no-repository"
        assert far.end() == 8


def test_a_plain_folder_is_made_a_replica_only_when_that_is_asked(served, tmp_path: Path) -> None:
    write(tmp_path / "plain/file", b"x")
    with served("--stdio", "--root", "plain") as far:
        assert not far.meet().replica
        with pytest.raises(FarError, match="is no replica") as caught:
            far.ask(messages.Record("origin"))
        assert caught.value.told == "no-repository"
        assert os.listdir(tmp_path / "plain") == ["file"]
        hello = far.ask(messages.Init())
        assert isinstance(hello, messages.Hello)
        assert hello.replica
        told = far.ask(messages.Record("origin"))
        assert isinstance(told, messages.Recorded)
        assert told.head is not None


def test_read_only(served, there: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with served("--stdio", "--root", "plain", "--read-only") as far:
        assert far.meet().read_only
        with pytest.raises(FarError, match="read-only") as caught:
            far.ask(messages.Init())
        assert caught.value.told == "refused"
    assert not os.listdir(tmp_path / "plain")
    with served("--stdio", "--root", str(there), "--read-only") as far:
        assert far.meet().read_only
        far.channel.send(messages.Push(ID))
        far.channel.put(end_of_objects())
        far.channel.put_rest()
        with pytest.raises(FarError, match="read-only") as caught:
            far.channel.receive()
        assert caught.value.told == "refused"
        assert isinstance(far.ask(messages.ListRefs()), messages.Refs), "and what is asked next is answered"


def test_nothing_of_the_folder_but_what_is_recorded_in_it(served, there: Path, tmp_path: Path) -> None:
    """Neither through links nor out of `.replican`: a path is a hint, and only the right content comes."""
    write(tmp_path / "secret", b"secret")
    os.symlink(tmp_path / "secret", there / "link")
    os.symlink(tmp_path, there / "out")
    with served("--stdio", "--root", str(there)) as far:
        far.meet()
        items = [messages.Item(blob_id(b"secret"), size=6, path=path) for path in (b"link", b"out/secret")]
        far.channel.send(messages.WantContents(items))
        reader = far.channel.stream()
        assert [read_answer(reader, 6, 0, 6).letter for _ in items] == [GONE, GONE]
        far.channel.send(messages.WantContents([messages.Item(blob_id(b"x"), path=b"../secret")]))
        with pytest.raises(FarError, match="a path came that is not allowed"):
            far.channel.stream().take(1)
        assert far.end() == 5


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"replican\n\xff\xff\xff\xff\x01",
        b"replican\n\0\0\0\1\1\xc1",
        b"replican\n\0\0\0\1\2x",
    ],
    ids=["another protocol", "a frame too large", "no message", "a stream"],
)
def test_what_does_not_speak_the_protocol(
    program: Sequence[str], environment: dict[str, str], there: Path, said: bytes
) -> None:
    before = contents(there)
    done = subprocess.run(
        [*program, "serve", "--stdio", "--root", there], input=said, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 5
    assert b"Traceback" not in done.stderr
    assert done.stdout.startswith(b"replican\n")
    assert contents(there) == before


def test_a_link_that_is_cut(served, there: Path) -> None:
    with served("--stdio", "--root", str(there)) as far:
        far.meet()
        assert far.end() == 5


def test_a_required_ability_that_it_has_not(served, there: Path) -> None:
    with served("--stdio", "--root", str(there)) as far:
        hello = hello_of("")
        hello.required = ["telepathy"]
        hello.able = ["what", "ever"]
        far.channel.send(hello)
        assert isinstance(far.channel.receive(), messages.Hello)
        with pytest.raises(FarError, match="requires what the other cannot do: telepathy"):
            far.channel.receive()


def test_a_push_that_is_no_fast_forward_whatever_is_said(served, there: Path, tmp_path: Path) -> None:
    """The head that stands there is the one that was told, but what is pushed does not come from it."""
    other = tmp_path / "other"
    with Repository.init(str(other)) as repo:
        write(other / "mine", b"m")
        head = record(repo).head
        assert head is not None
        objects = [(b"commit", repo.objects.payload(b"commit", head))]
        objects.append((b"tree", repo.objects.payload(b"tree", repo.head_tree)))
    with served("--stdio", "--root", str(there)) as far:
        far.meet()
        told = far.ask(messages.Record("origin"))
        assert isinstance(told, messages.Recorded)
        far.channel.send(messages.Push(head, told.head))
        for each in objects:
            far.channel.put(encode_object(*each))
        far.channel.put(end_of_objects())
        far.channel.put_rest()
        with pytest.raises(FarError, match="has checkpoints that are not here") as caught:
            far.channel.receive()
        assert caught.value.told == "diverged"
    assert contents(there) == {"letter": b"dear"}


def test_nothing_is_loaded_that_only_content_and_pushes_need(there: Path, environment: dict[str, str]) -> None:
    """Whoever looks whether there is anything new waits for what is loaded here first."""
    heavy = {"typing_extensions", "inspect", "zstandard", "pyfastcdc", "tomllib", "replican.operations.merging"}
    script = (
        "import sys; from replican.porcelain._main import run_guarded;"
        f" code = run_guarded(['serve', '--stdio', '--root', {str(there)!r}]);"
        f" print(code, {heavy} & set(sys.modules), file=sys.stderr)"
    )
    with Repository(str(there)) as repo:
        head = record(repo).head
    assert head is not None
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", script]
    child = subprocess.Popen(words, cwd=there, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        far = Far(child)
        far.meet()
        far.channel.send(messages.Record("origin", [head], early=True))
        assert far.channel.frame().body == end_of_early()
        assert isinstance(far.channel.receive(), messages.Recorded)
        far.channel.send(messages.Bye())
        assert far.end() == 0
        assert child.stderr
        with child.stderr as told:
            assert told.read().decode() == "0 set()\n"
    finally:
        child.kill()
        child.wait()
