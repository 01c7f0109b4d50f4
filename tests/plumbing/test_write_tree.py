from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import EMPTY_TREE


def test_the_tree_of_what_was_seen(run: InProcess, small: SmallRepository) -> None:
    assert run("write-tree").line == EMPTY_TREE.hex()
    (small.root / "a").write_text("1")
    assert run("write-tree").line == EMPTY_TREE.hex()
    run("update-index", "a")
    made = run("write-tree", "--json").json()["id"]
    assert run("ls-tree", "--name-only", made).lines == ["a"]
    run("cat-log", "HEAD", code=1)
    run("commit")
    assert run("rev-parse", "HEAD:").line == made
    assert run("write-tree").line == made


def test_what_has_not_reached_the_disk_yet_is_in_it(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    (small.root / "b").write_text("1")
    run("commit")
    listing = run("ls-tree", "HEAD").out
    more = run("mktree", stdin=listing + listing.splitlines(keepends=True)[0].replace(b"\ta", b"\tc")).line
    run("append-checkpoint", "--allow-pending", more)
    assert run("write-tree").line == more
    (small.root / "b").unlink()
    run("update-index", "b")
    assert run("ls-tree", "--name-only", run("write-tree").line).lines == ["a", "c"]


def test_an_edit_of_an_old_version_does_not_bury_the_newer_one(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("commit")
    listing = run("ls-tree", "HEAD").text.split()
    listing[2], listing[4] = "ab" * 32, "5"
    newer = run("mktree", stdin=(" ".join(listing[:5]) + "\ta\n").encode()).line
    run("append-checkpoint", "--allow-pending", newer)
    (small.root / "a").write_text("an edit")
    run("update-index", "a")
    names = run("ls-tree", "--name-only", run("write-tree").line).lines
    assert names == ["a", f"a.conflict-19700101T000000Z-{'ab' * 4}"]


def test_a_lost_index_deletes_nothing(run: InProcess, small: SmallRepository) -> None:
    (small.root / "a").write_text("1")
    run("commit")
    for path in (small.root / ".replican").glob("index.db*"):
        path.unlink()
    assert run("write-tree").line == run("rev-parse", "HEAD:").line
