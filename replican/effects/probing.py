"""The probe: what a folder's file system can hold, found out by trying it in a directory of our own.

It costs some forty system calls, and is made once for each file system: the index remembers what it found, and by what
the file system is known again. Only a command that is about to change files asks for it.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from replican.effects.durable import open_shelf
from replican.effects.index import Index
from replican.values.errors import DamagedError
from replican.values.names import NAME_LIMIT
from replican.values.traits import STRONG, Traits

_KEY: Final = "file-system"
_PREFIX: Final = b"probe-%d-"
_REFUSED: Final = '\\:*?"<>|\t\x01'
_TIME_NS: Final = 1_000_000_001_987_654_321
_STEPS: Final = (1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000)
_TROUBLE = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def traits_of(root: str, dotdir: str, index: Index) -> Traits:
    """What the file system of a folder can hold; probed where it was not, or lies on another file system by now.

    Needs an index that can be written. Raises ``OSError``.
    """
    place = _place_of(root, dotdir)
    known = index.meta_get(_KEY)
    if known is not None and known.startswith(place):
        try:
            return Traits.decode(known[len(place) :])
        except ValueError:
            pass  # of another release
    found = probe(f"{dotdir}/stage")
    index.meta_set(_KEY, place + found.encode())
    return found


def forget_traits(index: Index) -> None:
    """Have the next :func:`traits_of` look anew: what was found is not so any more."""
    index.meta_set(_KEY, None)


def _place_of(root: str, dotdir: str) -> bytes:
    """What tells one file system from another, and a mount of it from one with other options.

    The number of the device does not: the next disk that is plugged in may get it. So there are besides it the file
    system's own id, the inodes of the two directories that are surely there (those of a copy are others), and how the
    kernel has it mounted (its kind, and options of which folding may be one).
    """
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        there, system = os.fstat(fd), os.fstatvfs(fd)
        facts = [there.st_dev, there.st_ino, os.stat(dotdir).st_ino, system.f_fsid, system.f_namemax, system.f_frsize]
        text = repr([*facts, _mount_of(fd)]).encode("utf-8", "surrogateescape")
    finally:
        os.close(fd)
    return hashlib.sha256(text).hexdigest().encode() + b" "


def _mount_of(fd: int) -> str:
    """How that is mounted on which a descriptor is open, in the kernel's words; nothing where it does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
            number = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), None)
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            # Number, number above, device, top, place, options; what may be there; "-"; kind, source, its options.
            found = next((line for line in lines if line.split(" ", 1)[0] == number), "")
    except OSError:
        return ""
    own, _, of_system = found.partition(" - ")
    return " ".join([*own.split(" ")[5:6], of_system.strip()])


def known_traits(index: Index) -> Traits:
    """What was found at the last probe; asks no disk."""
    known = index.meta_get(_KEY)
    try:
        return STRONG if known is None else Traits.decode(known.partition(b" ")[2])
    except ValueError as error:
        raise DamagedError("the index is damaged: what it says of the file system is not what was written") from error


def probe(directory: str) -> Traits:
    """Try what the file system of ``directory`` does; nothing is left there. Raises ``OSError`` on a full disk."""
    fd = open_shelf(directory)
    try:
        return _Probe(fd).traits()
    finally:
        os.close(fd)


def _unless_trouble(error: OSError) -> None:
    """Raise what tells of a disk in trouble now, and nothing of what its file system can do: that is remembered."""
    if error.errno in _TROUBLE:
        raise error


class _Probe:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._prefix = _PREFIX % os.getpid()

    def traits(self) -> Traits:
        """All of it. A file system that is asked for what it does not have answers with one error or another."""
        with self._made(b"aB") as plain:
            if not plain:
                # Not even a plain name can be made: that is for the command to find out, and to say.
                return STRONG
            modes, step_ns = self._modes(b"aB"), self._step(b"aB")
            folds_case = self._is_there(b"Ab")
        composed, decomposed = "\u00e9".encode(), "e\u0301".encode()
        with self._made(composed) as made:
            folds_form = made and self._is_there(decomposed)
            form = "NFD" if made and self._prefix + decomposed in self._names() else ""
        if not form:
            with self._made(decomposed) as made:
                form = "NFC" if made and self._prefix + composed in self._names() else ""
        return Traits(
            folds_case,
            folds_form,
            form,
            self._links(),
            modes,
            step_ns,
            self._limit(),
            "".join(each for each in _REFUSED if not self._holds(each.encode())),
            not self._holds(b"\xff"),
            not (self._holds(b".") and self._holds(b" ")),
        )

    @contextmanager
    def _made(self, name: bytes) -> Iterator[bool]:
        """A file of this name, while it is needed; whether it could be made."""
        whole = self._prefix + name
        try:
            os.close(os.open(whole, _NEW, 0o600, dir_fd=self._fd))
        except OSError as error:
            _unless_trouble(error)
            yield False
            return
        try:
            yield True
        finally:
            os.unlink(whole, dir_fd=self._fd)

    def _names(self) -> list[bytes]:
        return [os.fsencode(name) for name in os.listdir(self._fd)]

    def _is_there(self, name: bytes) -> bool:
        try:
            os.lstat(self._prefix + name, dir_fd=self._fd)
        except OSError:
            return False
        return True

    def _holds(self, name: bytes) -> bool:
        """Whether a name that ends so can be made, and is listed as it was made."""
        with self._made(name) as made:
            return made and self._prefix + name in self._names()

    def _modes(self, name: bytes) -> bool:
        for mode in (0o600, 0o740):
            try:
                os.chmod(self._prefix + name, mode, dir_fd=self._fd)
            except OSError as error:
                _unless_trouble(error)
                return False
            if stat.S_IMODE(os.lstat(self._prefix + name, dir_fd=self._fd).st_mode) != mode:
                return False
        return True

    def _step(self, name: bytes) -> int:
        """The smallest unit of times that a round one of ours was not cut below."""
        os.utime(self._prefix + name, ns=(_TIME_NS, _TIME_NS), dir_fd=self._fd)
        lost = abs(os.lstat(self._prefix + name, dir_fd=self._fd).st_mtime_ns - _TIME_NS)
        return next((step for step in _STEPS if lost < step), _STEPS[-1])

    def _links(self) -> bool:
        name = self._prefix + b"link"
        try:
            os.symlink(b"nowhere", name, dir_fd=self._fd)
        except OSError as error:
            _unless_trouble(error)
            return False
        os.unlink(name, dir_fd=self._fd)
        return True

    def _limit(self) -> int:
        """The longest name in bytes; found by halving where not all that a tree has are possible."""
        most, least = NAME_LIMIT, 16
        if self._fits(most):
            return most
        while most - least > 1:
            middle = (most + least) // 2
            if self._fits(middle):
                least = middle
            else:
                most = middle
        return least

    def _fits(self, size: int) -> bool:
        with self._made(b"x" * (size - len(self._prefix))) as made:
            return made
