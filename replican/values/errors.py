"""Every error that replican raises on purpose, in one tree.

A message is lower case and says the problem; ``hint`` says what to do about it. ``code`` is the stable
name that ``--json`` shows. What exit code a class becomes is decided in one place, the front of the
command line; this module knows of no process.
"""

from typing import ClassVar


class ReplicanError(Exception):
    """The base of all of them."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ReplicanError):
    """What was asked for makes no sense."""

    code = "usage"


class NotFoundError(ReplicanError):
    """No such object, ref or path; or an abbreviation that fits several."""

    code = "not-found"


class MissingObjectError(NotFoundError):
    """An object that the log should have, and that is not there: where nobody named it himself, this is damage."""

    code = "missing-object"


class MovedError(ReplicanError):
    """A ref is not what the caller thought it was (compare-and-swap)."""

    code = "moved"


class RefusedError(ReplicanError):
    """A gate stands before this, or it would lose something. ``gates`` are the names of those that are closed,
    ``flags`` the options that open them, where that is for who does this to say."""

    code = "refused"

    def __init__(
        self, message: str, hint: str | None = None, gates: tuple[str, ...] = (), flags: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint)
        self.gates = gates
        self.flags = flags

    @property
    def kind(self) -> tuple[str, ...]:
        """What it has in common with a later one for the same reason: the gates, whatever numbers they tell."""
        return self.gates or (self.message,)


class NoSpaceError(RefusedError):
    """The disk is full, or would be."""

    code = "no-space"


class FoldedError(RefusedError):
    """Two names that are one to this file system, though the last look at it had told otherwise."""

    code = "folded"


class RemoteError(ReplicanError):
    """The remote cannot be reached, or broke the rules."""

    code = "remote"


class FarError(RemoteError):
    """What the other end of a link says has failed there: ``told`` is the code that it gives, ``gates`` are those that
    it says stand closed. Whoever knows which remote that is makes an error of it that names it."""

    code = "remote-failed"

    def __init__(
        self, message: str, hint: str | None = None, told: str = RemoteError.code, gates: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint)
        self.told = told
        self.gates = gates


class FarDamageError(RemoteError):
    """The remote holds something that is not what it should be, or lacks it."""

    code = "remote-damaged"


class BusyError(RemoteError):
    """Another process holds the lock over there."""

    code = "busy"


class DivergedError(RemoteError):
    """The remote has checkpoints that are not here."""

    code = "diverged"


class LinkError(RemoteError):
    """The link to the other side cannot be made, or was cut."""

    code = "link"


class ProtocolError(RemoteError):
    """The other side of a link sent what it must not send."""

    code = "protocol"


class DamagedError(ReplicanError):
    """The repository holds something that is not what it should be."""

    code = "damaged"


class MalformedError(DamagedError):
    """Bytes that are not a well-formed object, listing or config."""

    code = "malformed"


class UnsupportedError(ReplicanError):
    """Written by a newer release: known to be valid there, not readable here."""

    code = "unsupported"


class LockedError(ReplicanError):
    """Another process holds the lock."""

    code = "locked"


class NoRepositoryError(ReplicanError):
    """No replica here, or the folder is gone."""

    code = "no-repository"


class UnknownRemoteError(NoRepositoryError):
    """No remote of that name."""

    code = "unknown-remote"


class FolderError(ReplicanError):
    """A file or folder could not be read or written at all (permissions, a read-only disk, I/O)."""

    code = "folder"


class WorkerError(FolderError):
    """A process that did a part of the work was killed: no folder is to blame for it."""

    code = "worker"
