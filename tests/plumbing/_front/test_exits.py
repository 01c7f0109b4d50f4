import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replican.plumbing._front.exits import EXIT_CODES, exit_code
from replican.values import errors
from replican.values.errors import ReplicanError

SCRIPT = """
import errno, sys, time
from replican.plumbing._front import exits, output
from replican.values import errors
def work():
    output.write("result\\n")
    {work}
    return 0
sys.exit(exits.guard(work, json={json}))
"""


def every_class(base: type[ReplicanError] = ReplicanError) -> Iterator[type[ReplicanError]]:
    yield base
    for kind in base.__subclasses__():
        yield from every_class(kind)


def script(work: str, json: bool = False) -> list[str]:
    return [sys.executable, "-c", SCRIPT.format(work=work, json=json)]


def run(work: str, tmp_path: Path, json: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(tmp_path), **env}
    return subprocess.run(
        script(work, json), capture_output=True, text=True, cwd=tmp_path, env=environment, check=False, timeout=30
    )


def test_every_class_of_errors_has_an_exit_code_and_a_name() -> None:
    for kind in every_class():
        assert exit_code(kind("x")) in {1, 2, 3, 4, 5, 6, 7, 8, 70}
    assert all(kind in EXIT_CODES for kind in ReplicanError.__subclasses__() if kind.__module__ == errors.__name__)
    codes = [kind.code for kind in every_class() if kind.__name__[0] != "_"]  # a private one goes by its parent's name
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("errors.UsageError('x')", 2),
        ("errors.NotFoundError('x')", 1),
        ("errors.NoSpaceError('x')", 3),
        ("errors.FolderError('x')", 4),
        ("errors.DivergedError('x')", 5),
        ("errors.MalformedError('x')", 6),
        ("errors.LockedError('x')", 7),
        ("errors.UnknownRemoteError('x')", 8),
    ],
)
def test_an_error_ends_in_its_code_with_its_message(error: str, code: int, tmp_path: Path) -> None:
    done = run(f"raise {error}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "result\n", "replican: x\n")


def test_the_hint_follows_and_json_comes_last(tmp_path: Path) -> None:
    done = run("raise errors.RefusedError('a \\x1b', 'do\\nthis')", tmp_path, json=True)
    *text, last = done.stderr.splitlines()
    assert text == ["replican: a \\033", "hint: do", "hint: this"]
    assert json.loads(last) == {"error": {"code": "refused", "message": "a \x1b", "hint": "do\nthis"}}


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ("OSError(errno.ENOSPC, 'No space left on device', '/x')", 3, "replican: no space left on device: '/x'\n"),
        ("OSError(errno.EDQUOT, 'Disk quota exceeded')", 3, "replican: disk quota exceeded\n"),
        ("OSError(errno.ENOSPC, 'No space left on device', 14)", 3, "replican: no space left on device\n"),
        ("PermissionError(errno.EACCES, 'Permission denied', b'/x')", 4, "replican: permission denied: '/x'\n"),
        ("OSError(errno.EROFS, 'Read-only file system', '/x')", 4, "replican: read-only file system: '/x'\n"),
    ],
)
def test_what_the_system_refuses(error: str, code: int, text: str, tmp_path: Path) -> None:
    done = run(f"raise {error}", tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(text)


def test_a_bug_is_one_line_and_its_traceback_is_kept(tmp_path: Path) -> None:
    done = run("raise ValueError('odd')", tmp_path)
    assert done.returncode == 70
    first, second = done.stderr.splitlines()
    assert first == "replican: this is a bug: ValueError: odd"
    (kept,) = tmp_path.glob("replican-*.traceback")
    assert str(kept) in second
    assert "Traceback" in kept.read_text()
    assert "Traceback" in run("raise ValueError('odd')", tmp_path, REPLICAN_TRACEBACK="1").stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        script("time.sleep(0.3); output.write('x' * 1000000)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_an_interrupt_is_one_line(tmp_path: Path) -> None:
    # Whoever runs the tests in the background has a shell ignore interrupts for them.
    with subprocess.Popen(
        script("output.flush(); time.sleep(20)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (130, b"replican: interrupted\n")


def test_a_full_disk_behind_stdout_is_said(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(script("pass"), stdout=full, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(b"replican: no space left on device: 'stdout'\n")


def test_closed_standard_streams_are_no_places_for_files(tmp_path: Path) -> None:
    work = "handle = open('new', 'wb'); handle.write(b'mine'); handle.close(); output.say('talk')"
    shell = 'exec "$0" -c "$1" <&- >&- 2>&-'
    command = ["/bin/sh", "-c", shell, sys.executable, SCRIPT.format(work=work, json=False)]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "new").read_bytes() == b"mine"
