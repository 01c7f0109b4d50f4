import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.errors import UsageError
from replican.values.quoting import escape_terminal, quote, unquote


@given(st.binary())
def test_no_byte_is_lost_and_a_line_stays_a_line(path: bytes) -> None:
    text = quote(path)
    assert unquote(text) == path
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_git_quotes_likewise(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    names = [b"a" + bytes([byte]) + b"z" for byte in range(1, 256) if byte != 0x2F]
    for name in names:
        (tmp_path / name.decode("utf-8", "surrogateescape")).touch()
    listed = subprocess.run(
        ["git", "-C", tmp_path, "-c", "core.quotePath=true", "ls-files", "--others"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(quote(name) for name in names) == sorted(listed.stdout.splitlines())


def test_what_is_not_quoted_stands_for_itself() -> None:
    assert unquote("a\\n") == b"a\\n"
    assert unquote("\udcff") == b"\xff"


@pytest.mark.parametrize("text", ['"', '"a', '"a"b"', '"\\q"', '"\\4"', '"\\477"', '"a\\"'])
def test_bad_quoting_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        unquote(text)


@given(st.text())
def test_nothing_reaches_a_terminal_that_it_would_obey(text: str) -> None:
    assert all(char.isprintable() or char in "\n\t" or ord(char) >= 0xA0 for char in escape_terminal(text))


def test_escapes_show_what_was_there() -> None:
    assert escape_terminal("a\x1b[31m\tb\n\x9b\udcff\u202e") == "a\\033[31m\tb\n\\u009b\\377\\u202e"
    assert escape_terminal("größe 文件 🙂") == "größe 文件 🙂"
