"""Large files over the wire: what is there already does not travel, in either direction."""

import os
import sys
from pathlib import Path

import pytest
from false_ssh import false_ssh
from folders import assert_equal, noise, write

pytestmark = pytest.mark.within

MIB = 1 << 20
OLD = noise(6 * MIB)
NEW = OLD[: 3 * MIB] + noise(100_000) + OLD[3 * MIB :]
SLACK = 600_000
"""The two blocks around an edit, the list, and what else is said."""


class Wire:
    """Two folders, and how many bytes went over the wire between them."""

    def __init__(self, cli, base: Path, environment: dict[str, str]) -> None:
        self.cli = cli
        self.there, self.here = Path(environment["HOME"]) / "docs", base / "here"
        self._to, self._fro = base / "to", base / "fro"
        self.ssh = false_ssh(base)
        environment["REPLICAN_SSH"] = str(self.ssh)
        self.whole = self.ssh.read_text()

    def count(self, *words: str, code: int = 0) -> int:
        """Run a command in ``here``; the bytes of both directions."""
        self.ssh.write_text(self.whole.replace('exec sh -c "$1"', f'tee {self._to} | sh -c "$1" | tee {self._fro}'))
        self.cli(*words, cwd=self.here, code=code)
        self.ssh.write_text(self.whole)
        return self._to.stat().st_size + self._fro.stat().st_size

    def asked(self) -> bytes:
        """What was said to the other end."""
        return self._to.read_bytes()

    def clone(self) -> None:
        self.cli("clone", "host:docs", "here")


@pytest.fixture
def wire(cli, tmp_path: Path, environment: dict[str, str]) -> Wire:
    made = Wire(cli, tmp_path, environment)
    write(made.there / "d/large", OLD)
    write(made.there / "other", noise(2 * MIB))
    write(made.there / "small", b"s")
    made.clone()
    return made


def test_an_edit_pulled(wire: Wire) -> None:
    write(wire.there / "d/large", NEW)
    assert wire.count("pull") < 100_000 + SLACK
    assert_equal(wire.there, wire.here)
    write(wire.there / "d/large", b"in front" + NEW)
    assert wire.count("pull") < SLACK
    assert_equal(wire.there, wire.here)
    assert os.listdir(wire.here / ".replican/stage") == []


def test_an_edit_comes_while_it_is_read(wire: Wire) -> None:
    for number, edited in enumerate((NEW, b"in front" + NEW, NEW[:MIB] + b"in the middle" + NEW[MIB:], NEW[MIB:])):
        write(wire.there / "d/large", edited)
        # From the second one on, fine sums are known: of the blocks around an edit little comes.
        assert wire.count("pull" if number else "sync") < (20_000 if number else 100_000 + 2 * 262_144 + 10_000)
        assert b"want-" not in wire.asked().replace(b"want-log", b"")
        assert_equal(wire.there, wire.here)
        assert os.listdir(wire.here / ".replican/stage") == []


def test_edits_here_and_there(wire: Wire) -> None:
    write(wire.there / "d/large", OLD + b"so that fine sums are known")
    wire.cli("pull", cwd=wire.here)
    write(wire.there / "d/large", touched_up(OLD))
    assert wire.count("pull") < 5000 * len(OLD) // 100_000
    assert_equal(wire.there, wire.here)


def touched_up(content: bytes, step: int = 100_000) -> bytes:
    edited = bytearray(content)
    for at in range(0, len(edited), step):
        edited[at] ^= 1
    return bytes(edited)


def test_edits_here_and_there_that_are_pushed_or_cut_for_the_first_time(wire: Wire) -> None:
    """Of the blocks that were edited, fine sums are asked for, and then what differs. That is what is done, too, where
    the blocks of the old version are known and no more of it, as soon as it is seen that they do not help much."""
    write(wire.there / "d/large", touched_up(OLD))
    assert wire.count("pull") < MIB + MIB // 2 + 6000 * len(OLD) // 100_000
    assert wire.asked().count(b"want-ranges") == 2
    assert_equal(wire.there, wire.here)
    os.unlink(wire.there / ".replican/blocks.db")
    write(wire.there / "d/large", touched_up(OLD, 90_000))
    assert wire.count("pull") < 2 * 6000 * len(OLD) // 100_000
    assert wire.asked().count(b"want-ranges") == 2
    assert_equal(wire.there, wire.here)
    write(wire.here / "d/large", touched_up(OLD, 70_000) + b"at the end")
    assert wire.count("sync") < 2 * 6000 * len(OLD) // 70_000
    assert_equal(wire.there, wire.here)


def test_an_end_that_knows_no_sums(wire: Wire) -> None:
    script = "from replican.values import messages; messages.ABLE -= {'sums'}\n"
    script += "from replican.porcelain._main import main; raise SystemExit(main())"
    older = wire.here.parent / "older.py"
    older.write_text(script)
    wire.cli("config", "remote.origin.serve_command", f"{sys.executable} {older}", cwd=wire.here)
    write(wire.there / "d/large", touched_up(OLD))
    wire.count("pull")
    assert b"want-ranges" not in wire.asked()
    assert_equal(wire.there, wire.here)
    os.unlink(wire.there / ".replican/blocks.db")
    write(wire.there / "d/large", touched_up(OLD, 90_000))
    wire.count("pull")
    assert wire.asked().count(b"want-ranges") == 1
    assert_equal(wire.there, wire.here)


def test_an_edit_of_which_the_other_end_knows_no_old_version(wire: Wire) -> None:
    os.unlink(wire.there / ".replican/blocks.db")
    write(wire.there / "d/large", NEW)
    assert wire.count("pull") < 100_000 + SLACK
    assert b"want-blocks" in wire.asked()
    assert b"want-ranges" in wire.asked()
    assert_equal(wire.there, wire.here)


def test_what_came_early_and_is_not_wanted_goes(wire: Wire) -> None:
    """Here, the file has been edited, too, to the same."""
    for folder in (wire.there, wire.here):
        write(folder / "d/large", NEW + b"the same", 10**18)
    wire.cli("sync", cwd=wire.here)
    assert_equal(wire.there, wire.here)
    assert os.listdir(wire.here / ".replican/stage") == []


def test_an_edit_pushed(wire: Wire) -> None:
    write(wire.here / "d/large", NEW)
    assert wire.count("sync") < 100_000 + SLACK
    assert_equal(wire.there, wire.here)
    write(wire.here / "d/large", NEW + b"behind")
    wire.cli("commit", cwd=wire.here)
    assert wire.count("push") < SLACK
    assert_equal(wire.there, wire.here)


def test_a_file_that_was_renamed_and_edited(wire: Wire) -> None:
    os.unlink(wire.there / "d/large")
    write(wire.there / "e/f/large", NEW)
    write(wire.there / "e/small", "new, too")
    assert wire.count("pull") < 100_000 + SLACK
    assert_equal(wire.there, wire.here)
    os.unlink(wire.there / "e/f/large")
    write(wire.there / "another name", OLD + b"x")
    assert wire.count("pull") < SLACK
    assert_equal(wire.there, wire.here)


def test_a_copy_of_a_file_and_one_that_was_renamed_bring_no_content(wire: Wire) -> None:
    write(wire.there / "copy", OLD)
    os.rename(wire.there / "other", wire.there / "renamed")
    assert wire.count("pull") < 5000
    assert_equal(wire.there, wire.here)


def test_an_edited_copy_of_a_file_that_was_edited_before(wire: Wire) -> None:
    write(wire.there / "d/large", NEW)
    wire.cli("pull", cwd=wire.here)
    write(wire.there / "copy", NEW[: 2 * MIB] + b"edited" + NEW[2 * MIB :])
    assert wire.count("pull") < SLACK
    assert_equal(wire.there, wire.here)


def test_what_is_in_the_trash(wire: Wire) -> None:
    os.unlink(wire.there / "d/large")
    wire.cli("pull", cwd=wire.here)
    write(wire.there / "d/large", NEW)
    assert wire.count("pull") < 100_000 + SLACK
    assert_equal(wire.there, wire.here)


def test_many_files_are_asked_for_together(wire: Wire) -> None:
    files = {f"m/{number}": noise(MIB + 200_000, number) for number in range(70)}
    for path, content in files.items():
        write(wire.there / path, content)
    wire.cli("pull", cwd=wire.here)
    for path, content in files.items():
        write(wire.there / path, content[:500_000] + b"an edit" + content[500_000:])
    assert wire.count("pull") < 70 * 250_000
    assert_equal(wire.there, wire.here)


def test_both_edit(wire: Wire) -> None:
    """The version that comes as a conflict copy has most blocks of the one that is here."""
    write(wire.there / "d/large", NEW, 10**18)
    write(wire.here / "d/large", OLD + b"by here", 2 * 10**18)
    assert wire.count("sync") < 100_000 + 2 * SLACK
    assert_equal(wire.there, wire.here)
    sizes = [path.stat().st_size for path in (wire.here / "d").iterdir()]
    assert sorted(sizes) == [len(OLD) + 7, len(NEW)]


def test_an_end_that_knows_no_blocks(wire: Wire) -> None:
    """An older release over there, or here."""
    script = "from replican.values import messages; messages.ABLE, messages.BLOCKS = frozenset(['zstd']), 'later'\n"
    script += "from replican.porcelain._main import main; raise SystemExit(main())"
    older = wire.here.parent / "older.py"
    older.write_text(script)
    wire.cli("config", "remote.origin.serve_command", f"{sys.executable} {older}", cwd=wire.here)
    write(wire.there / "d/large", NEW)
    assert wire.count("pull") > len(NEW)
    write(wire.here / "d/large", OLD)
    assert wire.count("sync") > len(OLD)
    assert_equal(wire.there, wire.here)
