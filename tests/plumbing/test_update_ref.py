import pytest
from in_process import InProcess
from small_repository import SmallRepository


def test_what_is_known_of_a_remote_can_be_set(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    assert run("update-ref", "origin/head", one.hex()).out == b""
    run("update-ref", "-m", "because", "remotes/origin/head", "HEAD", one.hex()[:8])
    assert run("rev-parse", "origin/head", "origin@{1}").lines == [two.hex(), one.hex()]
    assert "because" in (small.root / ".replican/refs/remotes/origin/head.log").read_text()
    assert run("update-ref", "--json", "origin/head", "HEAD~").json() == {"ref": "remotes/origin/head", "id": one.hex()}


def test_compare_and_swap(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    for nothing in ("0" * 64, ""):
        run("update-ref", "origin/head", one.hex(), nothing, code=0 if nothing else 1)
    assert one.hex() in run("update-ref", "origin/head", one.hex(), two.hex(), code=1).err
    assert run("rev-parse", "origin/head").line == one.hex()
    run("update-ref", "-d", "origin/head", two.hex(), code=1)
    run("update-ref", "-d", "origin/head", one.hex())
    run("update-ref", "-d", "origin/head", code=1)
    run("show-ref", "--verify", "origin/head", code=1)


def test_the_head_goes_forward_only(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    three = small.user(two, "a=3", head=False)
    aside = small.user(one, "a=4", head=False)
    for refused in (one, aside):
        assert "never moves back" in run("update-ref", "HEAD", refused.hex(), code=3).err
    run("update-ref", "HEAD", three.hex(), one.hex(), code=1)
    run("update-ref", "HEAD", two.hex())
    run("update-ref", "HEAD", three.hex(), two.hex())
    assert run("rev-parse", "HEAD", "HEAD@{1}").lines == [three.hex(), two.hex()]
    run("update-ref", "-d", "HEAD", code=3)


def test_the_folder_follows_the_head(run: InProcess, small: SmallRepository) -> None:
    for number in range(30):
        (small.root / f"n{number}").write_text(f"{number}")
    head = run("commit", "--json").json()["head"]
    tree = run("mktree", stdin=run("ls-tree", "HEAD").out.splitlines(keepends=True)[0]).line
    run("append-checkpoint", tree, code=3)
    assert "--allow-mass-delete" in run("append-checkpoint", "--allow-pending", tree, code=3).err
    made = run("append-checkpoint", "--allow-pending", "--allow-mass-delete", tree).line
    (small.root / ".replican/refs/head").write_text(f"{head}\n")
    assert "--allow-mass-delete" in run("update-ref", "HEAD", made, code=3).err
    run("update-ref", "--allow-mass-delete", "HEAD", made)
    assert run("rev-parse", "HEAD").line == made


def test_a_damaged_head_can_be_mended(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    two = small.user(one, "a=2")
    (small.root / ".replican/refs/head").write_text("nonsense\n")
    assert two.hex() in run("rev-parse", "HEAD", code=6).err
    run("update-ref", "head", two.hex())
    assert run("rev-parse", "HEAD").line == two.hex()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["HEAD"], 2),
        (["HEAD", "nobody"], 1),
        (["HEAD", "12" * 32], 1),
        (["HEAD", "HEAD:"], 1),
        (["-d"], 2),
        (["-d", "origin/head", "HEAD", "HEAD"], 2),
        (["a/b/c", "HEAD"], 2),
        (["../head", "HEAD"], 2),
        (["origin/head", "HEAD", "nobody"], 1),
    ],
)
def test_what_is_wrong(run: InProcess, small: SmallRepository, words: list[str], code: int) -> None:
    small.user(None, "a=1")
    run("update-ref", *words, code=code)


def test_a_tree_that_is_not_there(run: InProcess, small: SmallRepository) -> None:
    one = small.user(None, "a=1")
    tree = small.tree("a=2")
    two = small.user(one, "a=2", head=False)
    (small.root / ".replican/objects/loose" / tree.hex()).unlink()
    run("update-ref", "HEAD", two.hex(), code=6)
    assert run("rev-parse", "HEAD").line == one.hex()
