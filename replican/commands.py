"""The one table of all commands. The dispatcher, the help, the completion scripts and the tests read it.

A command ``two-words`` of the plumbing is the file ``plumbing/two_words.py``, its manual ``man/replican-two-words.1``,
its test ``tests/plumbing/test_two_words.py``; likewise for the porcelain.
"""

from typing import Final, NamedTuple

PORCELAIN: Final = "porcelain"
PLUMBING: Final = "plumbing"

NOTHING: Final = "nothing"
REPOSITORY: Final = "repository"
WORKING_COPY: Final = "working copy"

START: Final = "start to keep folders in step"
LOOK: Final = "see what is and what was"
SYNC: Final = "keep in step"
SETTLE: Final = "settle conflicts"
RECOVER: Final = "bring back"
TEND: Final = "tend the replica"
HELP: Final = "help"
OBJECTS: Final = "plumbing: objects"
LOG: Final = "plumbing: the log and its names"
INDEX: Final = "plumbing: what is on disk"
MERGE: Final = "plumbing: merging"
WIRE: Final = "plumbing: the wire"


class CommandRow(NamedTuple):
    """A command: its name, its module, its class, what has to be there before it runs, its group, what it does."""

    name: str
    kind: str
    needs: str
    group: str
    summary: str

    @property
    def module(self) -> str:
        return f"replican.{self.kind}.{self.name.replace('-', '_')}"


COMMANDS: Final = (
    CommandRow("init", PORCELAIN, NOTHING, START, "make a folder a replica"),
    CommandRow("clone", PORCELAIN, NOTHING, START, "copy a folder, and keep both in step from then on"),
    CommandRow("remote", PORCELAIN, REPOSITORY, START, "list, add, change and remove remotes"),
    CommandRow("status", PORCELAIN, WORKING_COPY, LOOK, "show what has changed, what conflicts and what is pending"),
    CommandRow("log", PORCELAIN, REPOSITORY, LOOK, "show the checkpoints, newest first"),
    CommandRow("diff", PORCELAIN, WORKING_COPY, LOOK, "show which names differ between two states of the folder"),
    CommandRow("show", PORCELAIN, REPOSITORY, LOOK, "show a checkpoint, a directory or a file"),
    CommandRow("reflog", PORCELAIN, REPOSITORY, LOOK, "show where the head of this folder has been"),
    CommandRow("why", PORCELAIN, WORKING_COPY, LOOK, "tell all that is known about a path"),
    CommandRow("commit", PORCELAIN, WORKING_COPY, SYNC, "record the state of the folder"),
    CommandRow("fetch", PORCELAIN, REPOSITORY, SYNC, "get a remote's log, without touching a file"),
    CommandRow("merge", PORCELAIN, WORKING_COPY, SYNC, "take in what a remote has recorded"),
    CommandRow("pull", PORCELAIN, WORKING_COPY, SYNC, "commit, fetch and merge"),
    CommandRow("push", PORCELAIN, WORKING_COPY, SYNC, "have a remote take in what is recorded here"),
    CommandRow("sync", PORCELAIN, WORKING_COPY, SYNC, "pull and push until both folders are equal"),
    CommandRow("watch", PORCELAIN, WORKING_COPY, SYNC, "keep the folder in step with its remotes, by itself"),
    CommandRow("conflicts", PORCELAIN, WORKING_COPY, SETTLE, "list the names that have more than one version"),
    CommandRow("resolve", PORCELAIN, WORKING_COPY, SETTLE, "settle conflicts, for every replica"),
    CommandRow("restore", PORCELAIN, WORKING_COPY, RECOVER, "bring back files from the trash or a remote"),
    CommandRow("undo", PORCELAIN, WORKING_COPY, RECOVER, "take back what the last merge changed here"),
    CommandRow("gc", PORCELAIN, REPOSITORY, TEND, "pack the log and empty the trash of what has expired"),
    CommandRow("fsck", PORCELAIN, REPOSITORY, TEND, "verify every object, and with --content every file"),
    CommandRow("config", PORCELAIN, NOTHING, TEND, "get and set settings"),
    CommandRow("help", PORCELAIN, NOTHING, HELP, "show the manual of a command"),
    CommandRow("version", PORCELAIN, NOTHING, HELP, "print the version"),
    CommandRow("completion", PORCELAIN, NOTHING, HELP, "print a completion script for a shell"),
    CommandRow("hash-object", PLUMBING, NOTHING, OBJECTS, "print the ids of files"),
    CommandRow("cat-object", PLUMBING, REPOSITORY, OBJECTS, "print an object, its type or its size"),
    CommandRow("cat-blocks", PLUMBING, NOTHING, OBJECTS, "list the blocks of a file, which transfers compare"),
    CommandRow("write-tree", PLUMBING, WORKING_COPY, OBJECTS, "make a tree of what the index has seen"),
    CommandRow("mktree", PLUMBING, REPOSITORY, OBJECTS, "make a tree of a listing"),
    CommandRow("ls-tree", PLUMBING, REPOSITORY, OBJECTS, "list a tree"),
    CommandRow("diff-tree", PLUMBING, REPOSITORY, OBJECTS, "list what differs between two trees"),
    CommandRow("pack-objects", PLUMBING, REPOSITORY, OBJECTS, "write objects into a pack"),
    CommandRow("append-checkpoint", PLUMBING, WORKING_COPY, LOG, "put a checkpoint of a tree on the log"),
    CommandRow("cat-log", PLUMBING, REPOSITORY, LOG, "list the log, one line for each checkpoint"),
    CommandRow("rev-parse", PLUMBING, NOTHING, LOG, "tell which id a name means, and where the folder is"),
    CommandRow("rev-list", PLUMBING, REPOSITORY, LOG, "list the ids of checkpoints"),
    CommandRow("merge-base", PLUMBING, REPOSITORY, LOG, "find the common ancestors of checkpoints"),
    CommandRow("show-ref", PLUMBING, REPOSITORY, LOG, "list refs"),
    CommandRow("update-ref", PLUMBING, REPOSITORY, LOG, "move a ref"),
    CommandRow("poll", PLUMBING, WORKING_COPY, INDEX, "list the paths that differ from the index"),
    CommandRow("update-index", PLUMBING, WORKING_COPY, INDEX, "look at paths again, and note what is there"),
    CommandRow("ls-files", PLUMBING, WORKING_COPY, INDEX, "list what the index has"),
    CommandRow("check-ignore", PLUMBING, WORKING_COPY, INDEX, "tell which paths are ignored"),
    CommandRow("merge-tree", PLUMBING, REPOSITORY, MERGE, "merge two trees, touching no file"),
    CommandRow("apply-plan", PLUMBING, WORKING_COPY, MERGE, "bring the folder to what a merge decided"),
    CommandRow("ls-remote", PLUMBING, NOTHING, WIRE, "list the refs of a remote"),
    CommandRow("fetch-log", PLUMBING, REPOSITORY, WIRE, "take over what a remote has recorded"),
    CommandRow("serve", PLUMBING, NOTHING, WIRE, "answer for a folder at one end of a link"),
)

GIT_HABITS: Final = {
    "add": "replican records the whole folder: 'replican commit', or 'replican sync' for all at once",
    "branch": "a folder has one history; 'replican clone' makes another folder that goes its own way until you sync",
    "checkout": "to bring back files, use 'replican restore'; to take back a merge, 'replican undo'",
    "mv": "move the file as you like: 'replican commit' sees it, and nothing is copied again",
    "rebase": "logs are merged here, never rewritten: 'replican pull'",
    "reset": "the log never moves back: 'replican undo' takes back a merge, 'replican restore' brings back files",
    "revert": "use 'replican undo' to take back a merge, 'replican restore' to bring back files",
    "rm": "delete the file as you like: 'replican commit' sees it",
    "stash": "nothing has to be put away: 'replican pull' and 'replican sync' record your edits first",
    "switch": "a folder has one history; 'replican restore --checkpoint ID' brings back files of another time",
    "tag": "checkpoints have no names here; 'replican log' shows their ids",
}
"""What a git user may type, and what they would want here."""


def find(name: str) -> CommandRow | None:
    """The command of that name."""
    return next((row for row in COMMANDS if row.name == name), None)
