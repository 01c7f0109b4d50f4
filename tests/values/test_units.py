import os
import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.errors import UsageError
from replican.values.units import Unit, is_ours, launchd_plist, systemd_unit

PROGRAM = [b"/opt/python 3/bin/python3", b"/opt/replican%/bin/replican"]
PLACES = [
    b"/home/me/docs",
    b"/home/me/my docs",
    b"/100%/%h/%%",
    b"/$HOME/${HOME}/$$",
    b"/\"/'/`/;/#/a \\",
    b"/\\x41\\n\\\\",
    b"/tab\t\x01\x7f",
    "/münchen/日本/\u200e\u00a0".encode(),
    b"/latin-\xff\xe9",
    b"/-C --json",
    b"/" + b"long/" * 300 + b"x" * 250,
    b"/",
]
ESCAPE = re.compile(rb'\\x([0-9a-f]{2})|\\([\\"])|%(%)|\$(\$)')


def words(unit: Unit) -> list[bytes]:
    """The words of ExecStart as systemd.syntax(7) and systemd.service(5) read them."""
    (line,) = re.findall(rb"^ExecStart=(.*)$", unit.content, re.MULTILINE)
    found = re.findall(rb'"((?:[^"\\]|\\.)*)"', line)
    assert b" ".join([b'"%s"' % word for word in found]) == line
    assert not [word for word in found if b"%" in word.replace(b"%%", b"") or b"$" in word.replace(b"$$", b"")]
    return [ESCAPE.sub(lambda escape: _meant(*escape.groups()), word) for word in found]


def _meant(digits: bytes | None, *others: bytes | None) -> bytes:
    return bytes([int(digits, 16)]) if digits else next(char for char in others if char)


@pytest.mark.parametrize("root", PLACES)
def test_a_unit_runs_just_these_words(root: bytes) -> None:
    unit = systemd_unit(root, PROGRAM, ["origin", "disk.2"])
    assert words(unit) == [*PROGRAM, b"-C", root, b"watch", b"origin", b"disk.2"]
    assert is_ours(unit.content)
    assert re.fullmatch(r"replican-watch-[A-Za-z0-9_.-]{1,40}-[0-9a-f]{8}\.service", unit.file)
    assert unit.file in unit.enable
    assert unit.file in unit.disable
    assert len(unit.content.decode().splitlines()) == 21


@given(st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"\0\r\n")))
def test_so_it_is_for_any_path(name: bytes) -> None:
    assert words(systemd_unit(b"/" + name, PROGRAM, []))[3] == b"/" + name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("root", PLACES)
def test_systemd_finds_no_fault_with_it(root: bytes, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    unit = systemd_unit(root, [b"/bin/sh", b"-c"], ["origin"])
    path = tmp_path / unit.file
    path.write_bytes(unit.content)
    check = ["systemd-analyze", "--user", "--man=no", "verify", path]
    done = subprocess.run(check, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # What it takes the first word for, it says, where there is no such program.
    there_is_none = "/nowhere/%h %% $HOME $$ é;"
    path.write_bytes(systemd_unit(root, [os.fsencode(there_is_none)], []).content)
    done = subprocess.run(check, capture_output=True, text=True, env=environment, check=False)
    assert f"Command {there_is_none} is not executable: " in done.stderr


def test_a_path_that_a_unit_cannot_say() -> None:
    for root in (b"/a\nb", b"/a\rb"):
        for make in (systemd_unit, launchd_plist):
            with pytest.raises(UsageError, match="line end"):
                make(root, PROGRAM, [])
    for odd in (b"\x01", b"'", b'"', b"\\"):
        with pytest.raises(UsageError, match="special characters"):
            systemd_unit(b"/a", [b"/opt/%s/python" % odd], [])


@pytest.mark.parametrize("root", PLACES)
def test_a_property_list_runs_just_these_words(root: bytes) -> None:
    try:
        root.decode()
        fits = not any(byte < 0x20 and byte != 9 for byte in root)
    except UnicodeDecodeError:
        fits = False
    if not fits:
        with pytest.raises(UsageError, match="launchd knows no such path"):
            launchd_plist(root, PROGRAM, ["origin"])
        return
    plist = launchd_plist(root, PROGRAM, ["origin"])
    made = plistlib.loads(plist.content)
    assert made["ProgramArguments"] == [*(word.decode() for word in PROGRAM), "-C", root.decode(), "watch", "origin"]
    assert plist.file == f"{made['Label']}.plist"
    assert made["KeepAlive"] == {"SuccessfulExit": False}
    assert is_ours(plist.content)
    assert plist.link is None


def test_names_are_the_folders_own() -> None:
    roots = [b"/a/docs", b"/b/docs", b"/a/docs/", b"/a/d\xc3\xb6cs", b"/a/d ocs", b"/a/d-ocs", b"/", b"/..", b"/...x"]
    assert len({systemd_unit(root, PROGRAM, []).file for root in roots}) == len(roots)
    assert systemd_unit(b"/a/docs", PROGRAM, []).file == systemd_unit(b"/a/docs", [b"/other"], ["x"]).file
    assert systemd_unit(b"/a/docs", PROGRAM, []).file.startswith("replican-watch-docs-")
    assert systemd_unit(b"/", PROGRAM, []).file.startswith("replican-watch-folder-")


@pytest.mark.parametrize("make", [systemd_unit, launchd_plist])
def test_what_was_edited_is_not_ours_any_more(make: object) -> None:
    content = make(b"/a", PROGRAM, []).content  # type: ignore[operator]
    assert is_ours(content)
    assert not is_ours(content.replace(b"30", b"31"))
    assert not is_ours(content + b"\n")
    assert not is_ours(b"[Service]\nExecStart=/bin/true\n")
    assert not is_ours(b"")
