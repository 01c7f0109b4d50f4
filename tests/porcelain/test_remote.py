"""``replican remote``."""

from pathlib import Path

import pytest
from folders import write

from replican.repository import Repository

pytestmark = pytest.mark.within


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    write(tmp_path / "a/below/file", "x")
    cli("init", "a")
    (tmp_path / "b").mkdir()
    return tmp_path / "a"


def test_add_list_change_remove(cli, here: Path, tmp_path: Path) -> None:
    assert cli("remote", cwd=here).text == ""
    assert cli("remote", "add", "disk", "../../b", cwd=here / "below").err == ""
    assert "no folder at" in cli("remote", "add", "gone", "/nowhere/at/all", cwd=here).err
    assert cli("remote", cwd=here).lines == ["disk", "gone"]
    assert cli("remote", "-v", cwd=here).lines == [f"disk\t{tmp_path}/b", "gone\t/nowhere/at/all"]
    assert cli("remote", "list", "--json", cwd=here).json() == [
        {"name": "disk", "url": f"{tmp_path}/b"},
        {"name": "gone", "url": "/nowhere/at/all"},
    ]
    cli("remote", "set-url", "gone", "file:///somewhere", cwd=here)
    cli("remote", "remove", "disk", cwd=here)
    assert cli("remote", "list", "-v", cwd=here).lines == ["gone\tfile:///somewhere"]


def test_what_was_set_for_a_remote_goes_with_it(cli, here: Path, tmp_path: Path) -> None:
    """Else another one of that name had its hooks run, which nobody allowed."""
    cli("remote", "add", "disk", tmp_path / "b", cwd=here)
    cli("remote", "add", "other", tmp_path / "b", cwd=here)
    for name in ("disk", "other"):
        cli("config", f"remote.{name}.hooks", "true", cwd=here)
        cli("config", f"remote.{name}.limit_rate", "5K", cwd=here)
    cli("remote", "remove", "disk", cwd=here)
    assert cli("config", "list", cwd=here).lines == ["remote.other.hooks=true", "remote.other.limit_rate=5K"]
    cli("remote", "remove", "other", cwd=here)
    assert cli("config", "list", cwd=here).lines == []


def test_a_remote_is_not_removed_while_somebody_moves_its_ref(cli, here: Path) -> None:
    cli("remote", "add", "disk", "../b", cwd=here)
    with Repository(str(here)) as repo:
        with repo.locked("test"):
            cli("remote", "remove", "disk", "--wait", "0", cwd=here, code=7)
        assert cli("remote", cwd=here).lines == ["disk"]
    cli("remote", "remove", "disk", cwd=here)


def test_mistakes(cli, here: Path) -> None:
    cli("remote", "add", "disk", "../b", cwd=here)
    assert "set-url" in cli("remote", "add", "disk", "../c", cwd=here, code=2).err
    cli("remote", "add", "not a name", "../c", cwd=here, code=2)
    cli("remote", "add", "empty", "", cwd=here, code=2)
    cli("remote", "remove", "none", cwd=here, code=8)
    cli("remote", "set-url", "none", "../c", cwd=here, code=8)
    cli("remote", "rename", "disk", "d", cwd=here, code=2)
    cli("remote", cwd=here.parent / "b", code=8)


def test_what_is_known_of_it_goes_with_it(cli, here: Path, tmp_path: Path) -> None:
    cli("clone", "a", "c")
    copy = tmp_path / "c"
    assert cli("status", "--json", cwd=copy).json()["remotes"][0]["state"] == "up to date"
    cli("remote", "remove", "origin", cwd=copy)
    cli("remote", "add", "origin", here, cwd=copy)
    assert cli("status", "--json", cwd=copy).json()["remotes"][0]["state"] == "unknown"
    cli("sync", cwd=copy)


def test_other_machines(cli, here: Path) -> None:
    for url in ("https://host/folder", "ftp://host"):
        assert "is not a folder here" in cli("remote", "add", "far", url, cwd=here, code=5).err
        assert cli("remote", cwd=here).text == ""
    for number, url in enumerate(("ssh://me@host:22/folder", "host:folder", "me@host:/folder")):
        cli("remote", "add", f"far{number}", url, cwd=here)
        assert cli("remote", "-v", cwd=here).lines[-1] == f"far{number}\t{url}"
        cli("remote", "remove", f"far{number}", cwd=here)
    for url in (
        "ssh://-oProxyCommand=x/folder",
        "-host:folder",
        "host:-folder",
        "ssh://host",
        "host:",
        "ssh://host:0/x",
    ):
        assert "not an address" in cli("remote", "add", "--", "far", url, cwd=here, code=2).err
    (here / "host:folder").mkdir()
    cli("remote", "add", "near", "host:folder", cwd=here)
    assert cli("remote", "-v", cwd=here).lines[-1] == f"near\t{here}/host:folder"
    cli("remote", "remove", "near", cwd=here)
    cli("remote", "add", "self", here, cwd=here)
    assert "this very folder" in cli("fetch", "self", cwd=here, code=5).err
