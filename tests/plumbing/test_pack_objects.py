from pathlib import Path

from in_process import InProcess
from small_repository import SmallRepository

from replican.effects.packs import Pack


def test_what_rev_list_names_is_packed(run: InProcess, small: SmallRepository, tmp_path: Path) -> None:
    one = small.user(None, "a=1 d/b=1")
    small.user(one, "a=2 d/b=1")
    names = run("rev-list", "--objects", "HEAD").out
    made = run("pack-objects", tmp_path, stdin=names).line
    pack = Pack(str(tmp_path / made))
    try:
        assert pack.check()
        assert sorted(pack.id_at(number).hex() for number in range(pack.count)) == sorted(
            line.partition(" ")[0] for line in names.decode().splitlines()
        )
    finally:
        pack.close()
    assert run("pack-objects", "--all", "--json", tmp_path).json() == {"pack": made, "objects": 5}


def test_the_log_reads_from_its_pack(run: InProcess, small: SmallRepository) -> None:
    small.user(None, "a=1 d/b=1")
    before = run("ls-tree", "-r", "HEAD").out
    run("pack-objects", "--all")
    for loose in (small.root / ".replican/objects/loose").iterdir():
        loose.unlink()
    assert run("ls-tree", "-r", "HEAD").out == before
    run("fsck")


def test_nothing_to_pack(run: InProcess, tmp_path: Path) -> None:
    assert run("pack-objects", tmp_path).out == b""
    assert run("pack-objects", "--all", "--json").json() == {"pack": None, "objects": 0}


def test_what_is_wrong(run: InProcess, small: SmallRepository, tmp_path: Path) -> None:
    small.user(None, "a=1")
    assert "no object" in run("pack-objects", tmp_path, stdin=b"HEAD\n" + b"12" * 32, code=1).err
    run("pack-objects", tmp_path, stdin=b"HEAD:a\n", code=1)
    run("pack-objects", tmp_path, stdin=b"nobody\n", code=1)
    run("pack-objects", tmp_path / "nowhere", stdin=b"HEAD\n", code=2)
    (loose, *_) = (small.root / ".replican/objects/loose").iterdir()
    loose.write_bytes(b"damaged")
    run("pack-objects", "--all", tmp_path, code=6)
    assert not list(tmp_path.glob("pack-*"))
    assert not list(tmp_path.glob("*tmp*"))
