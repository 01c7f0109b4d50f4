import os

import pytest
from in_process import InProcess
from small_repository import SmallRepository

from replican.values.ids import EMPTY_TREE, blob_id

BLOB = blob_id(b"1").hex()


def test_what_ls_tree_prints_makes_the_same_tree(run: InProcess, small: SmallRepository) -> None:
    (small.root / os.fsdecode(b'new\nline "\xff')).write_bytes(b"odd")
    (small.root / "-0").write_bytes(b"")
    (small.root / "d" / "e").mkdir(parents=True)
    (small.root / "d" / "l").symlink_to("x")
    os.utime(small.root / "-0", ns=(0, -5))
    run("commit")
    for tree in ("HEAD", "HEAD:d"):
        wanted = run("rev-parse", f"{tree}:" if ":" not in tree else tree).line
        assert run("mktree", stdin=run("ls-tree", tree).out).line == wanted
        assert run("mktree", "-z", stdin=run("ls-tree", "-z", tree).out).line == wanted


def test_a_unit_comes_back_and_gives_the_checkpoint_other_rules(run: InProcess) -> None:
    inner = run("mktree", stdin=f"f0644 blob {BLOB} 1 0\ta\n".encode()).line
    line = f"d1755 tree {inner} 0 0\tu\n".encode()
    outer = run("mktree", stdin=line).line
    assert run("ls-tree", outer).out == line
    plain = run("mktree", stdin=f"f0644 blob {BLOB} 1 0\tb\n".encode()).line
    for tree, rules in ((plain, 1), (outer, 2), (plain, 2)):
        head = run("append-checkpoint", "--allow-pending", "--allow-mass-delete", tree).line
        assert f"rules {rules}" in run("cat-object", "-p", head).lines


def test_order_does_not_matter_and_the_tree_is_stored(run: InProcess) -> None:
    lines = [f"f0644 blob {BLOB} 1 0\t{name}\n".encode() for name in ("b", "a", "B")]
    made = run("mktree", "--json", stdin=b"".join(lines)).json()["id"]
    assert run("ls-tree", "--name-only", made).lines == ["B", "a", "b"]
    assert run("mktree", stdin=b"").line == EMPTY_TREE.hex()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "f0644 blob",
        f"f0644 blob {BLOB} 1 0 a",
        f"f0644 tree {BLOB} 1 0\ta",
        f"f644 blob {BLOB} 1 0\ta",
        f"f1644 blob {BLOB} 1 0\ta",
        f"l1777 blob {BLOB} 1 0\ta",
        f"d2755 tree {EMPTY_TREE.hex()} 0 0\ta",
        f"f0644 blob {BLOB} 01 0\ta",
        f"f0644 blob {BLOB} 1 -0\ta",
        f"f0644 blob {BLOB} 9223372036854775808 0\ta",
        f"f0644 blob {BLOB} 1 9223372036854775808\ta",
        f"f0644 blob {BLOB[1:]} 1 0\ta",
        f"x0644 blob {BLOB} 1 0\ta",
        f"l0644 blob {BLOB} 1 0\ta",
        f"d0755 tree {EMPTY_TREE.hex()} 1 0\ta",
        f"f0644 blob {BLOB} 1 0\t",
        f"f0644 blob {BLOB} 1 0\ta/b",
        f"f0644 blob {BLOB} 1 0\t..",
        f"f0644 blob {BLOB} 1 0\t.replican",
        f"f0644 blob {BLOB} 1 0\t.REPLICAN",
        f'f0644 blob {BLOB} 1 0\t"a',
        f'f0644 blob {BLOB} 1 0\t"\\000"',
        f'f0644 blob {BLOB} 1 0\t"\\9"',
        f"f0644 blob {BLOB} 1 0\t{'a' * 256}",
        f"f0644 blob {BLOB} 1 0\ta\nf0644 blob {BLOB} 1 0\ta",
    ],
)
def test_malformed_listings_are_refused(run: InProcess, line: str) -> None:
    ended = run("mktree", stdin=f"{line}\n".encode(), code=2)
    assert ended.out == b""


def test_a_directory_has_to_be_there(run: InProcess, small: SmallRepository) -> None:
    tree = small.tree("a=1")
    run("mktree", stdin=f"d0755 tree {tree.hex()} 0 0\td".encode())
    run("mktree", stdin=f"d0755 tree {EMPTY_TREE.hex()} 0 0\td".encode())
    assert "no tree" in run("mktree", stdin=f"d0755 tree {BLOB} 0 0\td".encode(), code=1).err
    head = small.user(None, "a=1")
    run("mktree", stdin=f"d0755 tree {head.hex()} 0 0\td".encode(), code=1)
