"""The commands that are killed, failed and cut off, and two replicas in which each has something to do.

Those whose name ends in ``-units`` have it to do in directories that are kept in step as one.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from folders import Seen, assert_equal, contents, remove, snapshot
from replicas import OLD, Replicas

FOLDERS = ("a", "b", "c")

Unit = frozenset[tuple[str, bytes]]
"""What a unit holds: each file's path in it, and its content."""

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
UNITS = "-units"
COMMANDS |= {name + UNITS: COMMANDS[name] for name in ("merge", "pull", "push", "sync", "follow", "undo", "clone")}
WATCHED = [name for name in COMMANDS if name.removesuffix(UNITS) not in ("gc", "resolve", "clone", "repair")]
"""Those whose work a watch does, too: with the tail in use."""
SOME = [("merge-units", False), ("follow-units", True), ("undo-units", False)]
"""Of those with units what says most."""
# What a push needs to be a fast-forward, an undo to have something to take back, a resolve to have a conflict; and one
# that only follows what is done over there.
BEFORE: dict[str, list[list[str]]] = {
    "merge": [["-C", "b", "commit"], ["-C", "b", "fetch"]],
    "push": [["-C", "b", "pull"]],
    "follow": [["-C", "b", "sync"]],
    "undo": [["-C", "b", "pull"]],
    "resolve": [["-C", "b", "pull"]],
}


def each_way(units: Sequence[tuple[str, bool]] | None = None) -> list[tuple[str, bool]]:
    """The commands, and whether they are run as by a watch; of those with units only ``units``, if that is given."""
    plain = [(name, watched) for watched in (False, True) for name in (WATCHED if watched else COMMANDS)]
    return [way for way in plain if units is None or not way[0].endswith(UNITS) or way in units]


def started(program: Sequence[str], watched: bool) -> Sequence[str]:
    """What to run as ``replican``."""
    if not watched:
        return program
    return [str(Path(program[0]).with_name("python")), str(Path(__file__).with_name("tailed.py"))]


def prepare(run: Replicas, name: str) -> None:
    """Two replicas as they are before the command ``name``."""
    build_units(run) if name.endswith(UNITS) else build(run)
    for words in BEFORE.get(name.removesuffix(UNITS), ()):
        run(".", *words)
    if name == "follow":
        edit_there(run)
    if name == "follow-units":
        edit_units_there(run)
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


def build_units(run: Replicas) -> None:
    """Replicas in step (``a``, ``b``) with units, of which some were edited here since, some there, and some both."""
    names = ("both.u", "there.u", "here.u", "gone.u", "kept.u", "moved.u", "shut.u")
    run.clone({".replicanattributes": "*.u/ atomic\n", **{f"{name}/head": name for name in names}, "plain": "plain"})
    base = run.base
    for name in names:
        run.write(f"a/{name}/refs/main", f"main of {name}", OLD)
        run.write(f"a/{name}/refs/old/x", f"x of {name}", OLD)
    shut(base / "a/shut.u", 0o500)
    for each in ("a", "b"):
        run(each, "config", "units.quiet_ms", "0")  # each time that they are put back they are new
    run("b", "sync")
    run.write("a/both.u/head", "by a", OLD + 1)
    run.write("b/both.u/refs/main", "by b", OLD + 2)
    run.write("b/here.u/head", "by b alone", OLD + 2)
    edit_unit(run, "there.u")
    shutil.rmtree(base / "a/gone.u")
    shutil.rmtree(base / "a/kept.u")
    run.write("b/kept.u/head", "deleted by a", OLD + 1)
    (base / "a/in").mkdir()
    (base / "a/moved.u").rename(base / "a/in/moved.u")
    shut(base / "a/shut.u", 0o700)
    edit_unit(run, "shut.u")
    shut(base / "a/shut.u", 0o500)
    run.write("a/in/came.u/head", "came", OLD)
    run.write("a/in/came.u/refs/main", "came, too", OLD)
    run.write("a/plain", "edited", OLD + 1)


def edit_unit(run: Replicas, name: str) -> None:
    """Of all that may happen in a unit, in the one of ``a``."""
    run.write(f"a/{name}/head", f"edited {name}", OLD + 1)
    run.write(f"a/{name}/refs/new/y", f"y of {name}", OLD + 1)
    shutil.rmtree(run.base / f"a/{name}/refs/old")


def shut(unit: Path, perm: int) -> None:
    """Give the directories of a unit these permissions."""
    for each in (unit, unit / "refs"):
        each.chmod(perm)


def edit_units_there(run: Replicas) -> None:
    """Units are edited once more, in one of the folders only: the other one is told of it ahead."""
    edit_unit(run, "here.u")
    run.write("a/there.u/head", "edited again", OLD + 2)
    shutil.rmtree(run.base / "a/kept.u")
    (run.base / "a/in/moved.u").rename(run.base / "a/moved.u")
    run.write("a/later.u/head", "later", OLD)
    run.write("a/plain", "edited again", OLD + 2)


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


def units_of(found: Mapping[str, bytes]) -> dict[str, Unit]:
    """The topmost directories that are called as units are, with all that they hold; of what contents are."""
    units: dict[str, set[tuple[str, bytes]]] = {}
    for path, content in found.items():
        *above, name = path.split("/")
        at = next((at for at, part in enumerate(above) if part.endswith(".u")), None)
        if at is not None:
            units.setdefault("/".join(above[: at + 1]), set()).add(("/".join([*above[at + 1 :], name]), content))
    return {path: frozenset(files) for path, files in units.items()}


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
    name = name.removesuffix(UNITS)
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
    where = "c" if name.startswith("clone") else "b"
    for _ in range(2):
        run(where, "sync")
    for each in ("a", where):
        run(each, "fsck", "--content")
    assert_equal(run.base / "a", run.base / where)
    return snapshot(run.base / "a")
