import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import CheckpointId


@pytest.fixture
def log(small: SmallRepository) -> dict[str, CheckpointId]:
    """base - one - merge - last, and base - two - merge; ``aside`` comes from base, and only a remote has it."""
    made = {"base": small.user(None, "a=1")}
    made["one"] = small.user(made["base"], "a=1 d/b=1")
    made["two"] = small.user(made["base"], "a=1 c=1")
    made["merge"] = small.merge(made["one"], made["two"])
    made["last"] = small.user(made["merge"], "a=2 d/b=1 c=1")
    made["aside"] = small.user(made["base"], "a=9", head=False)
    small.set_ref("remotes/origin/head", made["aside"])
    return made


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["HEAD"], "last merge two one base"),
        (["HEAD", "origin"], "aside last merge two one base"),
        (["--all"], "aside last merge two one base"),
        (["origin..HEAD"], "last merge two one"),
        (["HEAD", "^origin"], "last merge two one"),
        (["HEAD..origin"], "aside"),
        (["origin..."], "aside last merge two one"),
        (["HEAD", "^HEAD~^1", "^HEAD~^2"], "last merge"),
        (["-n2", "HEAD"], "last merge"),
        (["--reverse", "-n2", "HEAD"], "merge last"),
        (["^HEAD", "HEAD"], ""),
        (["^HEAD"], ""),
    ],
)
def test_which_and_in_which_order(run: InProcess, log: dict[str, CheckpointId], words: list[str], names: str) -> None:
    shown = {id.hex(): name for name, id in log.items()}
    assert " ".join(shown[line] for line in run("rev-list", *words).lines) == names


def test_counts_and_parents(run: InProcess, log: dict[str, CheckpointId]) -> None:
    assert run("rev-list", "--count", "origin..HEAD").line == "4"
    assert run("rev-list", "--count", "--json", "HEAD").json() == {"count": 5}
    parents = " ".join(id.hex() for id in sorted([log["one"], log["two"]]))
    assert run("rev-list", "--parents", "HEAD").lines[1:2] == [f"{log['merge'].hex()} {parents}"]
    assert run("rev-list", "--json", "-n1", "HEAD").json() == [
        {"id": log["last"].hex(), "parents": [log["merge"].hex()]}
    ]


def test_objects(run: InProcess, log: dict[str, CheckpointId]) -> None:
    lines = run("rev-list", "--objects", "HEAD").lines
    assert lines[:5] == run("rev-list", "HEAD").lines
    trees = {line.partition(" ")[0] for line in lines[5:]}
    assert trees == {
        run("rev-parse", name).line
        for name in ("HEAD:", "HEAD:d", "HEAD~:", "HEAD~^1:", "HEAD~^2:", f"{log['base'].hex()}:")
    }
    assert len(trees) == len(lines) - 5
    # HEAD's tree is new; its directory d is not
    assert [line.partition(" ")[2] for line in run("rev-list", "--objects", "HEAD~..HEAD").lines[1:]] == [""]


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 2), (["nobody"], 1), (["HEAD..nobody"], 1), (["--objects", "--json", "HEAD"], 2), (["-n", "x", "HEAD"], 2)],
)
def test_what_is_wrong(run: InProcess, log: dict[str, CheckpointId], words: list[str], code: int) -> None:
    run("rev-list", *words, code=code)
