import logging
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replican.effects.config import Config
from replican.effects.logfile import LogFile, configure, log_event
from replican.values.errors import UsageError
from replican.values.events import Error, Syncing

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\d+) (\w+): (.*)")


@pytest.fixture
def dotdir(tmp_path: Path) -> Path:
    path = tmp_path / ".replican"
    path.mkdir(mode=0o700)
    Config.create(str(path), "0123456789abcdef", None)
    return path


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The logger of replican, which is left as it was found."""
    found = logging.getLogger("replican")
    kept = found.level, found.propagate
    yield found
    for handler in list(found.handlers):
        found.removeHandler(handler)
    found.setLevel(kept[0])
    found.propagate = kept[1]


def lines(dotdir: Path, name: str = "watch.log") -> list[tuple[str, str]]:
    """Level and message of each line."""
    found = [LINE.fullmatch(line) for line in (dotdir / "log" / name).read_text().splitlines()]
    assert None not in found
    return [(match[2], match[3]) for match in found if match is not None]


def begin(dotdir: Path, **settings: str | int) -> LogFile:
    config = Config.load(str(dotdir), None)
    for key, value in settings.items():
        config.set(f"watch.log_{key}", str(value))
    return configure(str(dotdir), config)


def test_lines_are_appended_by_level(dotdir: Path, logger: logging.Logger) -> None:
    begin(dotdir)
    log_event(Syncing(0, "disk"))
    log_event(Error(0, "disk", "folder", "bad \x1b[31m\nthing", None))
    logging.getLogger("replican.effects.watcher").info("%d watches", 7)
    found = [("error", "disk: error: bad \\033[31m\\nthing"), ("info", "7 watches")]
    assert lines(dotdir) == found
    begin(dotdir, level="debug")
    log_event(Syncing(0, "disk"))
    assert lines(dotdir) == [*found, ("debug", "disk: syncing")], "one handler, not two"
    assert (dotdir / "log").stat().st_mode & 0o777 == 0o700
    assert (dotdir / "log/watch.log").stat().st_mode & 0o777 == 0o600


def test_times_are_utc_and_the_process_is_named(
    dotdir: Path, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    handler = begin(dotdir)
    record = logging.LogRecord("replican", logging.INFO, "", 0, "then", None, None)
    record.created = 1_795_176_000.2509
    handler.handle(record)
    assert (dotdir / "log/watch.log").read_text() == f"2026-11-20T12:00:00.250Z {os.getpid()} info: then\n"


def test_an_error_is_shown_with_where_it_came_from(dotdir: Path, logger: logging.Logger) -> None:
    begin(dotdir)
    try:
        raise ValueError("bad\nworse")
    except ValueError:
        logger.exception("it failed")
    first, *rest = (dotdir / "log/watch.log").read_text().splitlines()
    assert first.endswith("error: it failed")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-2:] == ["    ValueError: bad", "    worse"]
    logger.info("%d", "no number")
    assert "error: a message that cannot be shown: TypeError" in (dotdir / "log/watch.log").read_text()


@pytest.mark.parametrize("files", [1, 2, 3])
def test_files_are_put_aside_and_the_oldest_go(dotdir: Path, logger: logging.Logger, files: int) -> None:
    begin(dotdir, size=1000, files=files)
    for number in range(100):
        logger.info("%04d %s", number, "x" * 100)
    names = sorted(os.listdir(dotdir / "log"))
    assert names == ["watch.log", *(f"watch.log.{number}" for number in range(1, files))]
    said = [int(text[:4]) for name in [*reversed(names[1:]), "watch.log"] for _, text in lines(dotdir, name)]
    assert said == list(range(said[0], 100)), "none is missing in between"
    for name in names:
        assert (dotdir / "log" / name).stat().st_size <= 1000
        assert (dotdir / "log" / name).stat().st_mode & 0o777 == 0o600
    begin(dotdir, files=1)
    logger.info("y" * 990)
    assert os.listdir(dotdir / "log") == ["watch.log"]
    assert lines(dotdir) == [("info", "y" * 990)]


def test_several_processes_write_and_put_aside(dotdir: Path, logger: logging.Logger) -> None:
    begin(dotdir, size=2000, files=1000)
    children = []
    for name in "abc":
        child = os.fork()
        if not child:
            for number in range(200):
                logger.info("%s %d", name, number)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    said: dict[str, list[int]] = {name: [] for name in "abc"}
    names = sorted(os.listdir(dotdir / "log"), key=lambda name: -int(name.partition("log.")[2] or 0))
    for name in names:
        for _, text in lines(dotdir, name):
            said[text[0]].append(int(text[2:]))
    assert said == {name: list(range(200)) for name in "abc"}


def test_a_link_is_not_followed(dotdir: Path, tmp_path: Path, logger: logging.Logger) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    (dotdir / "log").mkdir()
    (dotdir / "log/watch.log").symlink_to(victim)
    begin(dotdir)
    logger.info("one")
    assert victim.read_text() == "mine\n"
    (dotdir / "log/watch.log").unlink()
    os.mkfifo(dotdir / "log/watch.log")
    logger.info("two")
    (dotdir / "log/watch.log").unlink()
    logger.info("three")
    (warning, three) = lines(dotdir)
    assert warning == ("warning", f"2 lines lost: cannot write {dotdir}/log/watch.log: it is no file")
    assert three == ("info", "three")
    (dotdir / "log/watch.log").unlink()
    (dotdir / "log").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (dotdir / "log").symlink_to(tmp_path / "elsewhere")
    logger.info("four")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_directory_that_is_removed_comes_again_but_never_without_its_replica(
    dotdir: Path, logger: logging.Logger
) -> None:
    begin(dotdir)
    logger.info("one")
    away = dotdir.with_name("away")
    dotdir.rename(away)
    logger.info("two")
    assert not dotdir.exists(), "its disk may be gone: nothing is made in its place"
    away.rename(dotdir)
    (dotdir / "log/watch.log").unlink()
    (dotdir / "log").rmdir()
    logger.info("three")
    (warning, three) = lines(dotdir)
    assert warning[1].startswith("1 line lost: cannot open ")
    assert three == ("info", "three")


def test_a_mode_that_others_could_read_is_taken_back(dotdir: Path, logger: logging.Logger) -> None:
    (dotdir / "log").mkdir()
    (dotdir / "log/watch.log").touch(0o644)
    begin(dotdir)
    logger.info("one")
    assert (dotdir / "log/watch.log").stat().st_mode & 0o777 == 0o600


FULL = """
import logging, resource, sys
from replican.effects.config import Config
from replican.effects.logfile import configure
configure(sys.argv[1], Config.load(sys.argv[1], None))
logger = logging.getLogger("replican")
logger.info("before")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))
for number in range(5):
    logger.info("lost %d", number)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
logger.info("after")
logger.info("and on")
"""


def test_where_there_is_no_room_lines_are_dropped_and_that_is_said(dotdir: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", FULL, str(dotdir)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    said = (dotdir / "log/watch.log").read_text().splitlines()
    whole = [match.groups()[1:] for line in said if (match := LINE.fullmatch(line))]
    assert whole[0] == ("info", "before")
    assert whole[-3:-1] == [("warning", "5 lines lost: file too large"), ("info", "after")]
    assert whole[-1] == ("info", "and on")
    assert len(said) - len(whole) == 1, "one line that was torn, and none that was glued to it"


def test_a_level_that_there_is_not(dotdir: Path) -> None:
    with pytest.raises(UsageError, match="must be debug, info, warning or error"):
        begin(dotdir, level="loud")
