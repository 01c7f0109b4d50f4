from pathlib import Path

import pytest
from in_process import InProcess
from lying import Told
from small_repository import SmallRepository

from replican.operations import remotes
from replican.operations.linking import hello_of
from replican.values import messages
from replican.values.frames import PREAMBLE


@pytest.fixture
def other(run: InProcess, tmp_path: Path) -> SmallRepository:
    made = SmallRepository(tmp_path / "other")
    run("remote", "add", "origin", made.root)
    return made


def test_refs_of_a_remote(run: InProcess, other: SmallRepository, tmp_path: Path) -> None:
    head = other.user(None, "a=1")
    other.set_ref("remotes/third/head", head)
    lines = [f"{head.hex()}\thead", f"{head.hex()}\tremotes/third/head"]
    assert run("ls-remote").lines == lines
    assert run("ls-remote", "origin").lines == lines
    for name in (str(other.root), "other", "./other/", f"file://{other.root}"):
        assert run("ls-remote", name, cwd=tmp_path).lines == lines
    assert run("ls-remote", "--json").json()[0] == {"ref": "head", "id": head.hex()}


def test_an_empty_log(run: InProcess, other: SmallRepository) -> None:
    assert run("ls-remote").out == b""
    run("ls-remote", "--exit-code", code=1)


def test_what_cannot_be_reached(run: InProcess, other: SmallRepository, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    for name in (tmp_path / "plain", "/no/such/folder"):
        assert "cannot reach" in run("ls-remote", name, code=5).err
    run("ls-remote", "nobody", code=8)
    run("ls-remote", "nobody", cwd=tmp_path, code=8)
    run("ls-remote", cwd=tmp_path, code=8)
    other.root.rename(tmp_path / "moved")
    run("ls-remote", "origin", code=5)


def test_no_remote_at_all(run: InProcess) -> None:
    run("ls-remote", code=8)


@pytest.mark.parametrize(
    "name",
    ["head\x1b[2J\nevil", "../../x", "head\n", "", "remotes/../head", "remotes/a/b/head", "remotes/a", "h\u202ehead"],
)
def test_names_that_no_ref_has(run: InProcess, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whoever is asked is not believed: nothing of it is shown as it came."""
    refs = messages.Refs([messages.Ref("head", bytes(32)), messages.Ref(name, bytes(32))])
    said = PREAMBLE + messages.encode_message(hello_of("")) + messages.encode_message(refs)
    monkeypatch.setattr(remotes, "start", lambda *_: Told(said))
    run("remote", "add", "origin", "host:there")
    for where in ("origin", "host:there"):
        done = run("ls-remote", where, code=5)
        assert done.out == b""
        assert "broke the protocol: a ref came of a name that none has" in done.err
        assert len(done.err.splitlines()) == 1
        assert done.err.rstrip("\n").isprintable()
