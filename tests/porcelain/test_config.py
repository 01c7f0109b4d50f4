"""``replican config``."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.within


@pytest.fixture
def here(cli, tmp_path: Path) -> Path:
    cli("init", "a")
    return tmp_path / "a"


def test_get_and_set(cli, here: Path) -> None:
    assert cli("config", "author.name", cwd=here, code=1).text == ""
    cli("config", "author.name", "Ann Other", cwd=here)
    assert cli("config", "author.name", cwd=here).text == "Ann Other\n"
    assert cli("config", "get", "author.name", "--json", cwd=here).json() == "Ann Other"
    cli("config", "set", "trash.expiry_days", "7", cwd=here)
    assert cli("config", "get", "trash.expiry_days", cwd=here).text == "7\n"
    cli("config", "unset", "trash.expiry_days", cwd=here)
    assert cli("config", "get", "trash.expiry_days", cwd=here).text == "30\n"  # what it is by itself
    cli("config", "unset", "trash.expiry_days", cwd=here, code=1)
    assert cli("config", "get", "no.such", cwd=here, code=1).text == ""


def test_list(cli, here: Path) -> None:
    cli("config", "alias.st", "status", cwd=here)
    cli("config", "alias.ci", "commit", cwd=here)
    cli("remote", "add", "disk", "/disk", cwd=here)
    assert cli("config", "list", cwd=here).lines == ["alias.ci=commit", "alias.st=status"]
    assert cli("config", cwd=here).lines == ["alias.ci=commit", "alias.st=status"]
    assert cli("config", "list", "--json", cwd=here).json() == {"alias.ci": "commit", "alias.st": "status"}
    assert cli("st", "--json", cwd=here).json()["clean"]


def test_the_users_settings(cli, here: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    cli("config", "--user", "author.name", "Ann", cwd=here)
    assert Path(environment["HOME"], ".config/replican/config.toml").exists()
    assert cli("config", "author.name", cwd=here).text == "Ann\n"
    assert cli("config", "author.name").text == "Ann\n"  # no replica is needed to ask
    cli("config", "author.name", "Ben", cwd=here)
    assert cli("config", "author.name", cwd=here).text == "Ben\n"
    assert cli("config", "--user", "author.name", cwd=here).text == "Ann\n"
    cli("config", "author.name", "Ben", code=8)  # but one to write to


def test_mistakes(cli, here: Path) -> None:
    cli("config", "plain", cwd=here, code=2)
    cli("config", "set", "a.b", cwd=here, code=2)
    cli("config", "get", cwd=here, code=2)
    cli("config", "a.b", "c", "d", cwd=here, code=2)
    assert "trash.expiry_days must be" in cli("config", "trash.expiry_days", "many", cwd=here, code=2).err
    cli("config", "remotes.disk.url", "/disk", cwd=here, code=2)


def test_comments_stay(cli, here: Path) -> None:
    file = here / ".replican/config.toml"
    file.write_text(file.read_text() + "\n# mine\n[alias]\nst = 'status' # short\n")
    cli("config", "alias.ci", "commit", cwd=here)
    assert "# mine" in file.read_text()
    assert "# short" in file.read_text()
