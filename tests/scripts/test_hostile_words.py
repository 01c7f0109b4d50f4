"""What a peer or a config says that is not fit to be shown or opened: addresses, names of remotes, escape sequences."""

import json
import os
from pathlib import Path

import pytest
from forging import Forger, file
from in_process import InProcess
from terminal import on_a_terminal


@pytest.mark.parametrize(
    "url", ["-oProxyCommand=x", "ext::sh -c x", "!touch owned", "|touch owned", "a\nb", "a\x1b[2J"]
)
def test_an_address_that_is_no_folder_in_the_config(victim: Path, url: str) -> None:
    """Whoever wrote it there: it is no address, nothing runs, and the terminal sees no control character."""
    config = victim / ".replican/config.toml"
    with config.open("a", encoding="utf-8") as to:
        to.write(f"\n[remotes.evil]\nurl = {json.dumps(url)}\n")
    for words in (["fetch", "evil"], ["pull", "evil"], ["sync", "evil"], ["push", "evil"]):
        done = InProcess(victim)(*words, code=None)
        assert done.code in (2, 5, 6), done
        assert "\x1b" not in done.err + done.text
    assert not (victim / "owned").exists()
    assert not (victim.parent / "owned").exists()


@pytest.mark.parametrize("name", ["-x", "..", "a..b", ".a", "a/b", "a\nb", "a\x1b[2J", "a" * 65, ""])
def test_a_name_that_no_remote_can_have(victim: Path, name: str) -> None:
    done = InProcess(victim)("remote", "add", "--", name, "../x", code=2)
    assert "\x1b" not in done.err
    config = victim / ".replican/config.toml"
    with config.open("a", encoding="utf-8") as to:
        to.write(f'\n[remotes.{json.dumps(name)}]\nurl = "/x"\n')
    done = InProcess(victim)("fetch", code=6)
    assert "\x1b" not in done.err


def test_escapes_of_a_peer_do_not_reach_the_terminal(victim: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    evil = Forger(tmp_path / "evil")
    odd = b"\x1b]0;owned\x07\r\x9b2J"
    words = b"\x1b[2Jwords\x07\r" + "\u202e\u009b2J".encode()
    evil.offer(evil.tree(file(odd, b"x")), name=b"\x1b[666mmallory", message=words)
    with (victim / ".replican/config.toml").open("a", encoding="utf-8") as to:
        to.write(f'\n[remotes.evil]\nurl = "{evil.root}"\n[remotes.odd]\nurl = "/a\\u001b]0;owned\\u0007"\n')
    with evil.at_work():
        InProcess(victim)("--wait", "0", "fetch", "evil")
    seen = ""
    for command in (
        ["log", "evil/head"],
        ["show", "evil/head"],
        ["diff", "evil/head"],
        ["remote", "-v"],
        ["fetch", "odd"],
        ["merge", "--allow-unrelated", "evil"],
        ["status"],
        ["why", os.fsdecode(odd)],
        ["conflicts"],
        ["reflog"],
        ["fsck"],
    ):
        shown = on_a_terminal(victim, *command, environment=environment)
        seen += shown
        for bad in ("\x1b]", "\x1b[2J", "\x1b[666m", "\x07", "\u202e", "\u009b"):
            assert bad not in shown, (command, shown)
    assert "mallory" in seen
    assert "words" in seen
    assert "owned" in seen
