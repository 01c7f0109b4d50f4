"""A weak file system in the place of a strong one: below one folder, the calls that reach the disk are as on FAT and
its like. What is patched is the boundary (``os`` and ``renameat2``); the files are real.
"""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from replican.effects import linux
from replican.values.traits import Traits


class WeakFolder:
    """Below ``root`` (also what has descriptors there) names fold, are limited and refused as ``traits`` say."""

    def __init__(self, patch: pytest.MonkeyPatch, root: str | os.PathLike[str], traits: Traits) -> None:
        self.root = os.fsencode(root)
        self.traits = traits
        self._scan, self._link = os.listdir, os.readlink
        for name in ("open", "lstat", "stat", "mkdir", "unlink", "rmdir", "readlink", "chmod", "utime", "access"):
            patch.setattr(os, name, self._one(getattr(os, name), name))
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._two(getattr(os, name)))
        patch.setattr(os, "symlink", self._symlink(os.symlink))
        patch.setattr(os, "fchmod", self._fchmod(os.fchmod))
        patch.setattr(linux, "_call_renameat2", self._renameat2(linux._call_renameat2))

    def _place(self, name: Any, fd: int | None) -> bytes | None:
        """The directory that a call means, if it is ours; None for one elsewhere."""
        if isinstance(name, int) or name in (None, ".", b"."):
            return None
        whole = os.fsencode(name)
        if fd is not None:
            whole = os.path.join(self._link(b"/proc/self/fd/%d" % fd), whole)
        elif not whole.startswith(b"/"):
            return None
        if not whole.startswith(self.root + b"/"):
            return None
        return os.path.dirname(whole)

    def real(self, name: Any, fd: int | None) -> Any:
        """The name under which the disk has what is meant."""
        place = self._place(name, fd)
        if place is None:
            return name
        whole = os.fsencode(name)
        last = os.path.basename(whole)
        reason = self.traits.why_not(last, b"f")
        if reason is not None:
            code = errno.ENAMETOOLONG if "too long" in reason else errno.EINVAL
            raise OSError(code, os.strerror(code), name)
        if not self.traits.folds:
            return name
        try:
            listed = [os.fsencode(each) for each in self._scan(place)]
        except OSError:
            return name
        if last in listed:
            return name
        same = [each for each in listed if self.traits.fold(each) == self.traits.fold(last)]
        if not same:
            return name
        found = os.path.join(os.path.dirname(whole), same[0])
        return found if isinstance(name, bytes) else os.fsdecode(found)

    def _one(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def patched(path: Any, *args: Any, **named: Any) -> Any:
            fd = named.get("dir_fd")
            ours = self._place(path, fd) is not None
            path = self.real(path, fd)
            if ours and kind == "chmod" and not self.traits.modes:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
            by_fd = kind == "chmod" and not ours and os.fsencode(path).startswith(b"/proc/self/fd/")
            if by_fd and not self.traits.modes and os.fsencode(self._link(path)).startswith(self.root):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
            if ours and not self.traits.modes and kind == "mkdir":
                return call(path, 0o755, dir_fd=fd)
            if ours and not self.traits.modes and kind == "open" and len(args) > 1:
                args = (args[0], 0o755)
            if kind == "utime" and "ns" in named and (ours or isinstance(path, int)):
                step = self.traits.step_ns
                named["ns"] = tuple(each // step * step for each in named["ns"])
            return call(path, *args, **named)

        return patched

    def _two(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def patched(old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> Any:
            real_old, there = self.real(old, src_dir_fd), self.real(new, dst_dir_fd)
            if os.fsencode(there) not in (os.fsencode(new), os.fsencode(real_old)):
                new = there  # what is there is replaced, and keeps its name
            return call(real_old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        return patched

    def _symlink(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def patched(target: Any, name: Any, *args: Any, **named: Any) -> Any:
            if self._place(name, named.get("dir_fd")) is not None and not self.traits.links:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), name)
            return call(target, name, *args, **named)

        return patched

    def _fchmod(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def patched(fd: int, mode: int) -> None:
            if not self.traits.modes and self._link(b"/proc/self/fd/%d" % fd).startswith(self.root + b"/"):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            call(fd, mode)

        return patched

    def _renameat2(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def patched(old_fd: int, old: bytes, new_fd: int, new: bytes, flag: int) -> bool:
            if self._place(new, new_fd) is not None:
                return False  # what stands in for it is what such file systems get
            return bool(call(old_fd, old, new_fd, new, flag))

        return patched
