"""Words that others choose: addresses and names of remotes; names, messages and authors shown on a terminal."""

import os
import re
from pathlib import Path

from folders import write
from forging import EMPTY_TREE, PEER, directory, file, link
from replicas import Replicas
from terminal import on_a_terminal
from victims import Victim

ADDRESSES = [
    "-oProxyCommand=touch made",
    "--upload-pack=touch made",
    "-",
    "!touch made",
    "|touch made",
    "ext::sh -c touch% made",
    "fd::17",
    "::touch made",
    "file://-x",
    "file://!touch made",
    "a\x1b[31mb",
    "a\nb",
    "a\rb",
    "a\x9bb",
    "",
]
NAMES = ["-x", "..", ".", "a..b", "a/b", "../x", "", "a\x1b[2J", "a\nb", "!x", "|x", "x::y", "x" * 65, "é", "a."]


def test_addresses(replicas: Replicas) -> None:
    replicas.clone({"f": "x"})
    config = replicas.base / "b/.replican/config.toml"
    before = config.read_bytes()
    for url in ADDRESSES:
        assert "not an address" in replicas("b", "remote", "add", "r", "--", url, code=2).err, url
        assert "not an address" in replicas("b", "remote", "set-url", "origin", "--", url, code=2).err, url
        assert "not an address" in replicas(".", "clone", "--", url, "c", code=2).err, url
        assert config.read_bytes() == before
        assert not (replicas.base / "c").exists()
    for url in ADDRESSES[:-1]:  # an empty one is damage there
        shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in url)
        config.write_text(f'format = 1\npeer_id = "{PEER.decode()}"\n[remotes.origin]\nurl = "{shown}"\n')
        for command in ("fetch", "pull", "sync", "push"):
            refused = replicas("b", command, code=2)
            assert "not an address" in refused.err
            assert refused.err.count("\n") == 2
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", refused.err)
        replicas("b", "status")
    assert not list(replicas.base.rglob("made"))


def test_a_folder_whose_name_looks_like_that_has_another_one(replicas: Replicas) -> None:
    replicas.write("-x/f", "x")
    replicas(".", "clone", "./-x", "b")
    replicas("b", "sync")


def test_names_of_remotes(replicas: Replicas) -> None:
    replicas.clone({"f": "x"})
    config = replicas.base / "b/.replican/config.toml"
    before = config.read_bytes()
    for name in NAMES:
        replicas("b", "remote", "add", "--", name, "../a", code=2)
        assert config.read_bytes() == before
        ended = replicas("b", "fetch", "--", name, code=None)
        assert ended.code in (0, 8) if not name else ended.code == 8
    for name in NAMES:
        shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in name)
        config.write_text(f'format = 1\npeer_id = "{PEER.decode()}"\n[remotes."{shown}"]\nurl = "../a"\n')
        for command in ("fetch", "sync", "status", "remote"):
            refused = replicas("b", command, code=6)
            assert "a name that none can have" in refused.err
            assert "\x1b" not in refused.err + refused.text
    assert sorted(os.listdir(replicas.base / "b/.replican/refs/remotes")) == ["origin"]


# -- on a terminal ------------------------------------------------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\u202egnp.exe"
"""A title, a cleared screen, a C1 sequence, what overwrites a line, and what reverses it."""
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\\[[0-9;?]*[A-Za-z])|\x1b\\[2J"
)
"""What no output may hold: of escape sequences, those that colour and place text are our own."""


def test_what_others_wrote_does_nothing_to_a_terminal(replicas: Replicas) -> None:
    victim = Victim(replicas)
    name = f"na{EVIL}me".encode()
    evil = victim.evil
    content = b"harm"
    tree = evil.tree(
        *sorted(
            [
                file(name, content),
                file(b"f", b"theirs", mtime=b"1600000009000000000"),
                directory(b"d" + name, EMPTY_TREE),
                link(b"l" + name, b"to"),
            ],
            key=lambda each: each.split(b"\0")[0].split(b" ", 3)[3],
        )
    )
    evil.offer(tree, victim.head, name=f"mal{EVIL}".encode(), message=f"a\nb{EVIL}".encode())
    write(Path(os.fsdecode(os.path.join(os.fsencode(evil.root), name))), content)
    write(evil.root / "f", b"theirs")
    os.symlink("to", os.path.join(os.fsencode(evil.root), b"l" + name))
    here = victim.base / "b"
    write(Path(os.fsdecode(os.path.join(os.fsencode(here), b"mine" + name))), "x")
    write(here / "f", "mine, too")
    os.mkfifo(os.path.join(os.fsencode(here), b"fifo" + name))
    commands = [
        ["status"], ["diff"], ["commit"], ["--wait", "0", "fetch", "evil"], ["log", "evil/head"], ["show", "evil/head"],
        ["diff", "HEAD", "evil/head"], ["ls-tree", "-r", "evil/head"], ["cat-log", "evil/head"],
        ["merge", "--dry-run", "evil"], ["--wait", "0", "pull", "evil"], ["status"], ["log", "--graph"], ["log"],
        ["show"], ["conflicts"], ["reflog"],
        ["why", name.decode()], ["why", "nothing" + EVIL], ["restore", "nothing" + EVIL], ["resolve", "*" + EVIL],
        ["ls-files"], ["undo", "--dry-run"], ["fsck", "--content"], ["remote", "-v"], ["fetch", EVIL],
        ["config", "x." + EVIL], [EVIL], ["log", EVIL], ["rev-parse", EVIL], ["cat-object", "-p", EVIL],
        ["-C", EVIL, "status"],
    ]  # fmt: skip
    seen = ""
    with evil.at_work():
        for words in commands:
            shown = on_a_terminal(here, *words)
            assert FORBIDDEN.search(shown) is None, (words, shown)
            seen += shown
    assert "owned" in seen, "the words themselves are shown"
    assert "na\\033]0;owned\\a" in seen
