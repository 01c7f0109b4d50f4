"""Refs: names for checkpoints, under `.replican/refs`, each with a reflog beside it.

`head` is this folder's head, `remotes/<remote>/head` what a remote's was when last seen, `stores/<store>/head`
likewise for a store. A file holds 64 hex digits and a newline. `<name>.log` has a line for each move, in git's
form; it is written, and durable, before the ref moves, so it always knows what a damaged ref was. A line whose
move did not come about (a kill in between) is known by what follows it: the chain of old and new values skips it.

While the tail is in use, moves and their lines are appended to that, and the file of the ref is written only so that
everybody hears of it: where the two differ, the tail leads on from what the file says.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from replican.effects import durable
from replican.effects.reflog import LINE, ReflogEntry, begun_line, entry_of, line_of
from replican.effects.tail import Move, Tail
from replican.values.errors import DamagedError, MovedError, UsageError
from replican.values.ids import HEX_SIZE, CheckpointId

HEAD: Final = "head"

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?"
_REMOTE = re.compile(_LABEL)
_NAME = re.compile(rf"head|(?:remotes|stores)/{_LABEL}/head")
_VALUE = re.compile(rb"([0-9a-f]{64})\n")


class Anything:
    """The type of :data:`ANY`."""


ANY: Final = Anything()
Expected = CheckpointId | Anything | None
"""Where a ref has to be, to be moved or deleted: None is nowhere, and :data:`ANY` wherever it is now."""


def is_remote_name(name: str) -> bool:
    """Whether a remote or a store may be called ``name``."""
    return _REMOTE.fullmatch(name) is not None and ".." not in name


def is_ref_name(name: str) -> bool:
    """Whether a ref may be called ``name``."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def check_ref_name(name: str) -> None:
    """Raise ``UsageError`` unless a ref may be called ``name``."""
    if not is_ref_name(name):
        raise UsageError(f"not the name of a ref: {name!r}", "refs are head, remotes/NAME/head and stores/NAME/head")


def remote_head(remote: str) -> str:
    """The name of the ref that holds a remote's head."""
    return f"remotes/{remote}/head"


class RefStore:
    """The refs of the repository whose `.replican` is ``dotdir``. Writers hold the repository's lock besides.

    ``flaw_of`` tells why an id is none that a ref may have (None: it may): a ref with such an id is a damaged one.
    """

    def __init__(
        self,
        dotdir: str,
        flaw_of: Callable[[CheckpointId], str | None] = lambda _: None,
        tail: Tail | None = None,
    ) -> None:
        self._path = dotdir + "/refs"
        self._flaw_of = flaw_of
        self._tail = tail or Tail(dotdir)

    def read(self, name: str) -> CheckpointId | None:
        """Where a ref is; None where there is no such ref.

        Raises ``DamagedError`` for a ref that holds no id, or one that it cannot have, or that is gone though its
        reflog says that it moved; with the last value that the reflog knows as its hint.
        """
        found = self.value(name)
        flaw = None if found is None else self._flaw_of(found)
        if flaw is not None:
            raise DamagedError(f"the ref {name} {flaw}", "run: replican fsck --repair")
        return found

    def value(self, name: str) -> CheckpointId | None:
        """Where a ref is, whatever lies there: for who mends it. Raises as :meth:`read`, but for what an id is of."""
        check_ref_name(name)
        content = self._content(name)
        moves = self._moves(name)
        if moves:
            return _led_on(content, moves)
        if content is not None:
            try:
                return _parse(content)
            except DamagedError:
                raise self._damaged(name, "is damaged") from None
        lines = self._lines(name)
        # Lines that all begin at nothing may be of first moves which never came about; with others, there was a ref.
        if any(line.old is not None for line in lines):
            # Somebody may have made it between the two looks; they write the reflog first, so now it is there.
            content = self._content(name)
            if content is None:
                raise self._damaged(name, "is missing, though its reflog is there")
            return _parse(content)
        return None

    def names(self) -> list[str]:
        """All refs that there are, sorted."""
        found = {HEAD} if self._is_there(HEAD) else set()
        found |= self._moved()
        for group in ("remotes", "stores"):
            for label in durable.names_in(f"{self._path}/{group}"):
                name = f"{group}/{label}/head"
                if is_remote_name(label) and self._is_there(name):
                    found.add(name)
        return sorted(found)

    def update(
        self,
        name: str,
        new: CheckpointId,
        old: Expected,
        reason: str,
        who: str,
        time_s: int | None = None,
        *,
        soon: bool = False,
    ) -> None:
        """Move a ref to ``new`` if it is at ``old`` (None: not there), else raise ``MovedError``. Durable on return, or
        where the tail is in use and ``soon`` is given, with the next :meth:`settle`.

        With :data:`ANY`, a damaged ref is overwritten, too. ``reason`` and ``who`` go into the reflog.
        """
        check_ref_name(name)
        if self._tail.in_use:  # by who has the repository's lock, and needs no other
            before = self._expect(name, old)
            if before != new:
                self._tail.add_move(name, line_of(before, new, who, reason, time_s))
            if not soon:
                self.settle()
            return
        try:
            self._make_place(name)
            with self._exclusive():
                before = self._expect(name, old)
                if before != new or self._content(name) != _content_of(new):
                    self._append(name, line_of(before, new, who, reason, time_s))
                    durable.replace_file(f"{self._path}/{name}", _content_of(new))
        except OSError as error:
            raise durable.explain(error, f"write the ref {name}") from error

    def settle(self) -> None:
        """Make durable what the tail has, and have everybody hear of the moves in it."""
        there = {name: self._content(name) for name in self._moved()}
        now = {name: _content_of(_led_on(content, self._moves(name))) for name, content in there.items()}
        if self._tail.unflushed or now != there:
            self._tail.flush()
        for name, content in now.items():
            if content != there[name]:
                try:
                    self._make_place(name)
                    durable.put_file(f"{self._path}/{name}", content)
                except OSError as error:
                    raise durable.explain(error, f"write the ref {name}") from error

    def put_down(self) -> None:
        """Write what the tail has of refs, durably, as though there were no tail."""
        try:
            for name in self._moved():
                moves, content = self._moves(name), self._content(name)
                there = (_read_file(f"{self._path}/{name}.log") or b"").splitlines(keepends=True)
                self._make_place(name)
                with self._exclusive():
                    self._append(name, b"".join([move.line for move in moves if move.line not in there]))
                    durable.replace_file(f"{self._path}/{name}", _content_of(_led_on(content, moves)))
        except OSError as error:
            raise durable.explain(error, "write refs") from error

    def _moved(self) -> set[str]:
        """The refs that the tail has moves of. (It may be of a disk that was anybody's.)"""
        self._tail.look()
        return {move.name for move in self._tail.moves if _NAME.fullmatch(move.name) and ".." not in move.name}

    def _moves(self, name: str) -> list[Move]:
        self._tail.look()
        return [move for move in self._tail.moves if move.name == name]

    def delete(self, name: str, old: Expected = ANY) -> None:
        """Delete a ref that is at ``old``, else raise ``MovedError``; its reflog goes with it."""
        check_ref_name(name)
        path = f"{self._path}/{name}"
        try:
            with self._exclusive():
                self._expect(name, old)
                for gone in (path + ".log", path):  # a ref without its log is whole; a log alone would be damage
                    if os.path.lexists(gone):
                        os.unlink(gone)
                        durable.flush_directory(os.path.dirname(path))
            if name != HEAD and os.path.isdir(os.path.dirname(path)):
                os.rmdir(os.path.dirname(path))
        except OSError as error:
            raise durable.explain(error, f"delete the ref {name}") from error

    def reflog(self, name: str) -> list[ReflogEntry]:
        """The moves of a ref, the newest first, without lines that are damaged or whose move never came about."""
        check_ref_name(name)
        lines = self._lines(name)
        try:
            content, moves = self._content(name), self._moves(name)
            after = _led_on(content, moves) if moves else _parse(content) if content is not None else None
        except DamagedError:
            after = lines[-1].new if lines else None
        found: list[ReflogEntry] = []
        for line in reversed(lines):
            # A move that never came about leaves the next one to begin where it began.
            if after == line.new or after != line.old:
                found.append(line)
            after = line.old
        return found

    def unreadable_lines(self, name: str) -> list[int]:
        """The numbers, from 1, of the lines of a reflog that cannot be read: damaged, or cut off by a power cut."""
        check_ref_name(name)
        texts = (_read_file(f"{self._path}/{name}.log") or b"").decode("utf-8", "replace").split("\n")
        return [number for number, text in enumerate(texts, 1) if text and not LINE.fullmatch(text)]

    def has_reflog(self, name: str) -> bool:
        """Whether there is a reflog: every ref that was ever moved has one."""
        return self._is_there(f"{name}.log") or bool(self._moves(name))

    def mend_reflog(self, name: str, who: str, set_aside: Callable[[str], object]) -> bool:
        """Write a reflog anew that has lines which cannot be read, or that is missing beside its ref; whether it was
        so. ``set_aside`` takes the damaged one away."""
        check_ref_name(name)
        path = f"{self._path}/{name}.log"
        now = self.read(name) if self._is_there(name) else None
        try:
            with self._exclusive():
                if now is not None and not self.has_reflog(name):
                    self._append(name, line_of(None, now, who, "fsck --repair", None))
                    return True
                if not self.unreadable_lines(name):
                    return False
                texts = (_read_file(path) or b"").split(b"\n")
                good = [text + b"\n" for text in texts if LINE.fullmatch(text.decode("utf-8", "replace"))]
                set_aside(path)
                durable.replace_file(path, b"".join(good))
                return True
        except OSError as error:
            raise durable.explain(error, f"write the reflog of {name}") from error

    # Files

    def _is_there(self, name: str) -> bool:
        return os.path.lexists(f"{self._path}/{name}")

    def _content(self, name: str) -> bytes | None:
        return _read_file(f"{self._path}/{name}", HEX_SIZE + 2)

    def _lines(self, name: str) -> list[ReflogEntry]:
        """The lines of a reflog that can be read, the oldest first."""
        there = (_read_file(f"{self._path}/{name}.log") or b"").split(b"\n")
        there += [line for move in self._moves(name) if (line := move.line[:-1]) not in there]
        texts = b"\n".join(there).decode("utf-8", "replace").split("\n")
        return [entry_of(match) for text in texts if (match := LINE.fullmatch(text))]

    def _damaged(self, name: str, how: str) -> DamagedError:
        entries = self._lines(name)
        last = entries[-1].new if entries else None
        if last is None:
            return DamagedError(f"the ref {name} {how}", "its reflog knows no value; see replican fsck")
        hint = f"its reflog's last value is {last.hex()}; run: replican update-ref {name} {last.hex()}"
        return DamagedError(f"the ref {name} {how}", hint)

    def _expect(self, name: str, old: Expected) -> CheckpointId | None:
        """Where the ref is, which has to be ``old``; of a damaged one, for :data:`ANY`, where the reflog has it."""
        if isinstance(old, Anything):
            try:
                return self.read(name)
            except DamagedError:
                entries = self._lines(name)
                return entries[-1].new if entries else None
        now = self.read(name)
        if now != old:
            where = "is not there any more" if now is None else f"is at {now.hex()}"
            raise MovedError(f"{name} has moved: it {where}", "run the command again")
        return now

    def _append(self, name: str, line: bytes) -> None:
        path = f"{self._path}/{name}.log"
        is_new = not os.path.lexists(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            state = os.fstat(fd)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
            begun = begun_line(fd, state.st_size)
            if begun and not LINE.fullmatch(begun.decode("utf-8", "replace")):
                # A power cut, or a full disk: it never was whole, so no ref moved by it.
                os.ftruncate(fd, state.st_size - len(begun))
                begun = b""
            durable.write_all(fd, b"\n" + line if begun else line)
            os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            durable.flush_directory(os.path.dirname(path))

    def _make_place(self, name: str) -> None:
        """The directory of a ref, each above it looked at by itself: a link in its place leads elsewhere."""
        at = self._path
        durable.make_directory(at)
        for part in name.split("/")[:-1]:
            at = f"{at}/{part}"
            durable.make_directory(at)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Alone among those who move refs: a lock that ends with its owner, so none is ever left over."""
        durable.make_directory(self._path)
        fd = os.open(f"{self._path}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _read_file(path: str, limit: int = -1) -> bytes | None:
    """All of a file, or its first ``limit`` bytes, for which room is made before; None if there is none."""
    try:
        fd = durable.open_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise durable.explain(error, f"read {path}") from error
    with open(fd, "rb") as file:
        try:
            return file.read(limit)
        except OSError as error:
            raise durable.explain(error, f"read {path}") from error


def _content_of(value: CheckpointId) -> bytes:
    return value.hex().encode() + b"\n"


def _led_on(content: bytes | None, moves: Sequence[Move]) -> CheckpointId:
    """Where a ref is whose file has this content, after the moves that the tail has of it."""
    try:
        at = None if content is None else _parse(content)
    except DamagedError:
        return CheckpointId(moves[-1].new)
    if content is None and moves[0].old is not None:
        return CheckpointId(moves[-1].new)  # a power cut took the file
    for move in moves:
        if move.old == at:
            at = CheckpointId(move.new)
    return CheckpointId(moves[-1].new) if at is None else at


def _parse(content: bytes) -> CheckpointId:
    value = _VALUE.fullmatch(content)
    if value is None:
        raise DamagedError("a ref that holds no id")
    return CheckpointId(bytes.fromhex(value[1].decode()))
