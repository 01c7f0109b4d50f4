"""The commands that are killed, failed and cut off, and two replicas in which each has something to do."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from folders import Seen, assert_equal, contents, remove, snapshot
from replicas import OLD, Replicas

FOLDERS = ("a", "b", "c")

COMMANDS: dict[str, list[str]] = {
    "commit": ["-C", "b", "commit"],
    "fetch": ["-C", "b", "fetch"],
    "merge": ["-C", "b", "merge", "remote"],
    "pull": ["-C", "b", "pull"],
    "push": ["-C", "b", "push"],
    "sync": ["-C", "b", "sync"],
    "follow": ["-C", "b", "sync"],
    "undo": ["-C", "b", "undo"],
    "gc": ["-C", "b", "gc", "--grace", "0"],
    "resolve": ["-C", "b", "resolve", "both", "--keep", "current"],
    "clone": ["clone", "a", "c"],
    "repair": ["-C", "b", "fsck", "--repair"],
}
WATCHED = ("commit", "fetch", "merge", "pull", "push", "sync", "follow", "undo")
"""Those whose work a watch does, too: with the tail in use."""
# What a push needs to be a fast-forward, an undo to have something to take back, a resolve to have a conflict; and one
# that only follows what is done over there.
BEFORE: dict[str, list[list[str]]] = {
    "merge": [["-C", "b", "commit"], ["-C", "b", "fetch"]],
    "push": [["-C", "b", "pull"]],
    "follow": [["-C", "b", "sync"]],
    "undo": [["-C", "b", "pull"]],
    "resolve": [["-C", "b", "pull"]],
}


def each_way() -> list[tuple[str, bool]]:
    """The commands, and whether they are run as by a watch."""
    return [(name, False) for name in COMMANDS] + [(name, True) for name in WATCHED]


def started(program: Sequence[str], watched: bool) -> Sequence[str]:
    """What to run as ``replican``."""
    if not watched:
        return program
    return [str(Path(program[0]).with_name("python")), str(Path(__file__).with_name("tailed.py"))]


def prepare(run: Replicas, name: str) -> None:
    """Two replicas as they are before the command ``name``."""
    build(run)
    for words in BEFORE.get(name, ()):
        run(".", *words)
    if name == "follow":
        edit_there(run)
    if name == "repair":
        os.unlink(run.base / "b/.replican/refs/head")
        overwrite_object(run)


def build(run: Replicas) -> None:
    """Replicas in step (``a``, ``b``), in which some of everything was done since."""
    run.clone({f"folder/{number}": f"file {number}" for number in range(5)})
    for name, content in {"both": "b", "gone/x": "x", "swap": "s", "move/1": "1", "edit": "e", "slide": "down"}.items():
        run.write(f"a/{name}", content, OLD)
    run("b", "sync")
    base = run.base
    run.write("a/both", "by a", OLD + 1)
    run.write("a/edit", "edited", OLD + 1)
    shutil.rmtree(base / "a/gone")
    (base / "a/move").rename(base / "a/moved")
    (base / "a/swap").unlink()
    run.write("a/swap/in", "a directory", OLD)
    run.write("a/fresh/deep/f", "fresh", OLD)
    (base / "a/link").symlink_to("edit")
    run.write("b/both", "by b", OLD + 2)
    run.write("b/new", "new", OLD)
    (base / "b/folder/3").unlink()
    # Attributes alone, and a directory into which its owner may not write.
    run.write("a/folder/0", "file 0", OLD + 1)
    (base / "a/folder/1").chmod(0o600)
    (base / "a/folder").chmod(0o750)
    (base / "a/slide").rename(base / "a/slid").chmod(0o600)
    run.write("a/fresh/closed/f", "closed", OLD).parent.chmod(0o500)
    run.write("b/folder/2", "file 2", OLD + 1)
    (base / "b/folder/4").chmod(0o600)


def edit_there(run: Replicas) -> None:
    """Some of everything once more, in one of the folders only: the other one is told of it ahead."""
    run.write("a/edit", "edited again", OLD + 2)
    run.write("a/later/on/f", "later", OLD)
    run.write("a/later/g", "later, too", OLD)
    (run.base / "a/folder/0").unlink()
    (run.base / "a/moved").rename(run.base / "a/later/moved")
    (run.base / "a/new").chmod(0o600)


def overwrite_object(run: Replicas) -> None:
    path = min((run.base / "b/.replican/objects/loose").iterdir())
    path.write_bytes(b"damaged")


def put_back(kept: Path, run: Replicas) -> None:
    """The replicas that were prepared in ``kept``, below ``run.base``; they know of each other where they are now."""
    for name in FOLDERS:
        remove(run.base / name)
        if (kept / name).exists():
            shutil.copytree(kept / name, run.base / name, symlinks=True)
            for part in ("b", "a"):
                config = run.base / name / ".replican/config.toml"
                config.write_text(config.read_text().replace(str(kept / part), str(run.base / part)))
    (run.base / "home").mkdir(exist_ok=True)


def each_content(base: Path) -> dict[str, bytes]:
    """What every user file of every folder holds, and every link, by its path below ``base``."""
    return {
        f"{name}/{path}": content
        for name in FOLDERS
        if (base / name).is_dir()
        for path, content in contents(base / name).items()
    }


def each_seen(base: Path) -> dict[str, dict[bytes, Seen]]:
    """What each folder holds, with permissions and times."""
    return {name: snapshot(base / name) for name in FOLDERS if (base / name).is_dir()}


def trashed(base: Path) -> set[tuple[str, bytes]]:
    """What lies in the trash of each folder: the folder's name, and the content or the target."""
    found = set()
    for name in FOLDERS:
        trash = base / name / ".replican/trash"
        for path in trash.iterdir() if trash.is_dir() else ():
            found.add((name, os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()))
    return found


def again(run: Replicas, name: str) -> None:
    """The same command succeeds, or there is nothing left for it to do."""
    ended = run(".", *COMMANDS[name], code=None)
    if ended.code == 0:
        return
    done = {
        "clone": "is a replica already",
        "resolve": "no conflict",
        "undo": "nothing to undo",
        "push": "pull first",  # it was killed in the middle of noting the other side's own edits
    }
    assert done.get(name, "!") in ended.err, ended


def rest(run: Replicas, name: str) -> dict[bytes, Seen]:
    """Bring all to rest: both folders equal, the logs and contents sound. What they hold then."""
    where = "c" if name == "clone" else "b"
    for _ in range(2):
        run(where, "sync")
    for each in ("a", where):
        run(each, "fsck", "--content")
    assert_equal(run.base / "a", run.base / where)
    return snapshot(run.base / "a")
