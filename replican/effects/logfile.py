"""The log file of who watches: `.replican/log/watch.log`, and what it was before as `watch.log.1` and so on.

Nothing is held open between two lines: the disk that the folder is on can be unmounted, the directory removed, and
several processes may write. Who logs is never stopped by it: a line that cannot be written is dropped, and as soon as
one can be, it is said how many were.
"""

import fcntl
import logging
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from replican.effects import durable
from replican.effects.setting import LOG_LEVELS
from replican.effects.worktree import give_mode
from replican.values.dates import iso_moment
from replican.values.errors import FolderError, ReplicanError
from replican.values.quoting import escape_terminal

if TYPE_CHECKING:
    from replican.effects.config import Config
    from replican.values.events import Event

DIRECTORY: Final = "log"
FILE: Final = "watch.log"
ROOT: Final = "replican"
"""The logger above all others of replican."""

LEVELS: Final = {name: getattr(logging, name.upper()) for name in LOG_LEVELS}
_LINE_LIMIT: Final = 8192
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def configure(dotdir: str, config: "Config") -> "LogFile":
    """Have all that replican logs in this process, and in those that it forks, written to the log file; in the place of
    an earlier one. Raises ``DamagedError`` for a setting that is none."""
    level = LEVELS[config.text("watch.log_level")]
    handler = LogFile(dotdir, size=config.number("watch.log_size"), files=config.number("watch.log_files"))
    logger = logging.getLogger(ROOT)
    for each in [each for each in logger.handlers if isinstance(each, LogFile)]:
        logger.removeHandler(each)
        each.close()
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    return handler


def log_event(event: "Event") -> None:
    """Log an event, at its level."""
    logging.getLogger(f"{ROOT}.watch").log(LEVELS[event.level], "%s", event.line())


class LogFile(logging.Handler):
    """Writes records to the log file of the repository whose `.replican` is ``dotdir``.

    A file that would get larger than ``size`` bytes is put aside first; there are no more than ``files``.
    """

    def __init__(self, dotdir: str, *, size: int, files: int) -> None:
        super().__init__()
        self.path = f"{dotdir}/{DIRECTORY}/{FILE}"
        self._size = size
        self._files = files
        self._dropped = 0
        self._why = ""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            lines = self._lines(record)
        except Exception as error:  # arguments that do not fit the format are no reason to stop
            lines = [f"{_stamp(record.created)} error: a message that cannot be shown: {error!r}"]
        if self._dropped:
            lost = f"{self._dropped} line{'' if self._dropped == 1 else 's'} lost: {self._why}"
            lines.insert(0, f"{_stamp(time.time())} warning: {lost}")
        text = "".join([f"{line}\n" for line in lines])
        try:
            self._write(text.encode("utf-8", "backslashreplace"))
        except (OSError, ReplicanError) as error:
            self._dropped += len(lines) - bool(self._dropped)
            self._why = error.message if isinstance(error, ReplicanError) else (error.strerror or "").lower()
        else:
            self._dropped = 0

    def _lines(self, record: logging.LogRecord) -> list[str]:
        """What a record comes to: its message, in one line, and below it where an error came from."""
        message = escape_terminal(record.getMessage(), keep="")[:_LINE_LIMIT]
        lines = [f"{_stamp(record.created)} {record.levelname.lower()}: {message}"]
        if record.exc_info and record.exc_info[0] is not None:
            import traceback

            shown = "".join(traceback.format_exception(*record.exc_info))
            lines += [f"    {escape_terminal(line, keep='')[:_LINE_LIMIT]}" for line in shown.splitlines()]
        return lines

    # -- the file -----------------------------------------------------------------------------------------------

    def _write(self, content: bytes) -> None:
        directory = durable.open_shelf(os.path.dirname(self.path))
        try:
            if not self._append(directory, content):
                self._put_aside(directory, len(content))
                self._append(directory, content, anyhow=True)
        finally:
            os.close(directory)

    def _append(self, directory: int, content: bytes, anyhow: bool = False) -> bool:
        """Whether there is room for it in the file, where it is written then; ``anyhow`` writes it all the same."""
        fd = self._open(directory)
        try:
            size = os.fstat(fd).st_size
            if not anyhow and size and size + len(content) > self._size:
                return False
            if size and os.pread(fd, 1, size - 1) != b"\n":  # the disk was full, or somebody killed
                content = b"\n" + content
            durable.write_all(fd, content)
        finally:
            os.close(fd)
        return True

    def _open(self, directory: int) -> int:
        fd = os.open(FILE, _APPEND, 0o600, dir_fd=directory)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise FolderError(f"cannot write {self.path}: it is no file")
        if status.st_mode & 0o077:
            give_mode(fd, 0o600)
        return fd

    def _put_aside(self, directory: int, coming: int) -> None:
        """Make place for the next file, unless another process has just done so."""
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without: the worst is a file that is put aside too early
        if os.stat(FILE, dir_fd=directory, follow_symlinks=False).st_size + coming <= self._size:
            return
        for name in os.listdir(directory):
            number = name.removeprefix(f"{FILE}.")
            if number != name and number.isascii() and number.isdigit() and int(number) >= self._files - 1:
                os.unlink(name, dir_fd=directory)
        for older in range(self._files - 2, -1, -1):
            _rename(directory, f"{FILE}.{older}" if older else FILE, f"{FILE}.{older + 1}")
        if self._files == 1:
            os.unlink(FILE, dir_fd=directory)


def _rename(directory: int, old: str, new: str) -> None:
    try:
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        pass


def _stamp(seconds: float) -> str:
    return f"{iso_moment(int(seconds * 1000) * 1_000_000)} {os.getpid()}"
