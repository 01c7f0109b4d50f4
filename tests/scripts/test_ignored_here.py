"""An ignored file in the way of one that a remote brings: see docs/decisions/0022."""

from pathlib import Path

import pytest
from folders import contents, write

pytestmark = pytest.mark.within


@pytest.mark.parametrize("words", [["sync"], ["pull"], ["commit"]])
def test_it_stays_here_and_is_told_to_nobody(cli, tmp_path: Path, words: list[str]) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "file", "x")
    cli("clone", "a", "b")
    write(b / ".replicanignore", ".env")
    write(b / ".env", "secret")
    write(a / ".env", "theirs")
    for _ in range(2):
        done = cli("-C", "b", "sync", code=4)
        assert "pending: .env: changed here" in done.err
        cli("-C", "b", *words, code=None)
        assert contents(a) == {"file": b"x", ".env": b"theirs", ".replicanignore": b".env"}
        assert (b / ".env").read_text() == "secret"
        assert b"secret" not in b"".join(path.read_bytes() for path in a.rglob("*") if path.is_file())
    (b / ".env").rename(b / "mine")
    cli("-C", "b", "sync")
    assert ((b / ".env").read_text(), (b / "mine").read_text()) == ("theirs", "secret")
