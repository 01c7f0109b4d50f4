import io
import subprocess
import sys
from pathlib import Path

from replican.plumbing._front.progress import TerminalProgress
from replican.values.progress import Traffic


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_shown_in_the_first_second() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.begin("hash", 3, 100)
    progress.advance(3, 100)
    progress.end()
    assert stream.getvalue() == ""


def test_files_bytes_and_time_are_shown() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream, delay=0)
    progress.begin("hash", 1200, 5_000_000)
    progress.advance(600, 2_500_000)
    progress.end()
    shown = stream.getvalue()
    assert "hash" in shown
    assert "600 of 1,200 files, 2.5 MB of 5.0 MB" in shown


def test_unknown_totals_and_tasks_one_after_the_other() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream, delay=0)
    progress.begin("scan [x]")
    progress.advance(5)
    progress.begin("merge", files=0)
    progress.advance(0)
    progress.end()
    progress.end()
    assert "5 files" in stream.getvalue()


def test_what_goes_over_the_wire_is_shown() -> None:
    stream = Terminal()
    stream.getvalue()
    told = iter([Traffic(1000, 500, 0, 0, 1.0), *[Traffic(901_000, 100_500, 7_000_000, 3, 3.0)] * 5])
    progress = TerminalProgress(stream, delay=0)
    progress.begin("receiving", 4, 5_000_000, wire=lambda: next(told))
    progress.advance(3, 2_500_000)
    progress.end()
    shown = " ".join(stream.getvalue().split())
    assert "3 of 4 files, 2.5 MB of 5.0 MB" in shown
    assert "1.0 MB on the wire, 7.0 MB saved, 500.0 kB/s" in shown
    progress.begin("looking", 4)
    progress.advance(4)
    progress.end()
    assert "wire" not in stream.getvalue().split("looking")[1]


def test_rich_waits_until_there_is_something_to_show(tmp_path: Path) -> None:
    script = (
        "import sys; from replican.plumbing._front.progress import TerminalProgress as P\n"
        "p = P(sys.stderr); p.begin('x', 1); p.advance(1); p.end(); print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "False\n"
