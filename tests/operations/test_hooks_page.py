"""The page of the hooks is true: their names, arguments and input are what the operations give to whoever listens."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from folders import write

from replican.effects import hooks as running
from replican.effects.contents import FolderStore
from replican.effects.setting import KNOWN
from replican.operations.merging import merge
from replican.operations.recording import record
from replican.repository import Repository
from replican.values.errors import RefusedError
from replican.values.hooks import CONFLICT, GATE, NAMES, POST_CHECKPOINT, POST_MERGE, PRE_MERGE, Kind, note_gate

FOLDER = Path(__file__).resolve().parents[2]
PAGE = (FOLDER / "man/replican-hooks.7").read_text(encoding="utf-8").replace("\\-", "-")


class Listener:
    """Hears of everything, and says no if it is to."""

    def __init__(self, answer: str | None = None) -> None:
        self.answer = answer
        self.heard: dict[str, tuple[Sequence[str], bytes]] = {}
        self.closed: dict[str, Kind] = {}

    def has(self, name: str) -> bool:
        return True

    def ask(self, name: str, arguments: Sequence[str], given: bytes = b"") -> str | None:
        self.heard[name] = arguments, given
        return self.answer

    def tell_later(self, name: str, arguments: Sequence[str], given: bytes = b"") -> None:
        self.heard[name] = arguments, given

    def tell_now(self) -> list[str]:
        return []

    def is_news(self, where: str, kind: Kind | None) -> bool:
        return note_gate(self.closed, where, kind)


def described() -> dict[str, list[str]]:
    """The hooks of the page, with the names of their arguments."""
    text = PAGE.split(".SH HOOKS")[1].split(".SH REMOTES")[0]
    return {name: words.split() for name, words in re.findall(r'^\.TP\n\.BI (\S+) " ([^"]*)"$', text, re.MULTILINE)}


@pytest.fixture
def there(tmp_path: Path) -> Repository:
    """A folder whose edits nobody has seen yet."""
    write(tmp_path / "there/f", "theirs", 2 * 10**18)
    made = Repository.init(str(tmp_path / "there"))
    record(made)
    return made


@pytest.fixture
def here(tmp_path: Path, there: Repository) -> Repository:
    """Another with a listener, which knows the log of the first."""
    write(tmp_path / "here/f", "ours", 10**18)
    made = Repository.init(str(tmp_path / "here"))
    made.hooks = Listener()
    assert there.head is not None
    made.objects.add(
        {
            there.head: there.objects.read(there.head),
            there.head_tree: there.objects.read(there.head_tree),
        }
    )
    return made


def test_the_hooks_that_there_are_and_their_arguments(here: Repository, there: Repository, tmp_path: Path) -> None:
    listener = here.hooks
    assert isinstance(listener, Listener)
    ours = record(here).head
    assert ours is not None
    assert there.head is not None
    assert listener.heard == {POST_CHECKPOINT: ([ours.hex(), "1"], b"")}
    store = FolderStore("disk", there.root, there.index)
    merged = merge(here, there.head, [store], whom="disk")
    store.close()
    assert merged.head is not None
    (conflict,) = merged.conflicts
    assert listener.heard[PRE_MERGE] == (["disk", there.head.hex()], b"")
    assert listener.heard[POST_MERGE] == (["disk", ours.hex(), merged.head.hex()], b"")
    assert listener.heard[CONFLICT] == (["disk"], conflict.path + b"\0" + conflict.copies[0][0] + b"\0")
    for path in (tmp_path / "here").glob("f*"):
        path.unlink()
    with pytest.raises(RefusedError) as refused:
        record(here)
    assert refused.value.gates == ("emptied-root",)
    assert listener.heard[GATE] == (["emptied-root", refused.value.message, "-"], b"")
    assert {name: len(words) for name, words in described().items()} == {
        name: len(words) for name, (words, _) in listener.heard.items()
    }
    assert list(described()) == list(NAMES)


def test_a_refused_merge_changes_nothing(here: Repository, there: Repository, tmp_path: Path) -> None:
    ours = record(here).head
    here.hooks = Listener("no")
    with pytest.raises(RefusedError) as refused:
        merge(here, there.head, [], whom="disk")
    assert refused.value.gates == (PRE_MERGE,)
    assert here.head == ours
    assert (tmp_path / "here/f").read_text() == "ours"
    assert here.hooks.heard[GATE][0] == [PRE_MERGE, "no", "disk"]
    merge(here, there.head, [], whom="disk", dry_run=True)
    assert set(here.hooks.heard) == {PRE_MERGE, GATE}


def test_a_gate_before_a_push_stands_closed_while_edits_are_recorded(here: Repository, there: Repository) -> None:
    """Neither is of a remote, and each is passed or not by itself."""
    here.hooks = Listener("no")
    record(here)
    with pytest.raises(RefusedError):
        merge(here, there.head, [])
    assert here.hooks.heard.pop(GATE)[0] == [PRE_MERGE, "no", "-"]
    record(here)
    with pytest.raises(RefusedError):
        merge(here, there.head, [])
    assert GATE not in here.hooks.heard


def test_numbers_and_gates() -> None:
    assert f"first {running._KEPT_LINES} lines" in PAGE
    assert f".B hooks.timeout\n({KNOWN['hooks.timeout'].default} seconds" in PAGE
    source = (FOLDER / "replican/decisions/gates.py").read_text(encoding="utf-8")
    text = PAGE.split(f".BI {GATE} ")[1]
    for gate in {*re.findall(r'Gate\("([\w-]+)"', source), PRE_MERGE}:
        assert re.search(rf"(?<![\w-]){gate}(?![\w-])", text), gate
