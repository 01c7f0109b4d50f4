"""The config: typed where it is known, and otherwise left as its owner wrote it."""

import subprocess
import sys
from pathlib import Path

import pytest

from replican.effects.config import Config, RemoteSettings
from replican.effects.setting import KNOWN, join_key, split_key
from replican.values.errors import (
    DamagedError,
    NoRepositoryError,
    NotFoundError,
    UnknownRemoteError,
    UnsupportedError,
    UsageError,
)
from replican.values.ids import CheckpointId

PEER = "0123456789abcdef"
HEAD = f'format = 1\npeer_id = "{PEER}"\n'


def load(tmp_path: Path, content: str | bytes | None = None, user: str | None = None) -> Config:
    if content is not None:
        (tmp_path / "config.toml").write_bytes(content.encode() if isinstance(content, str) else content)
    if user is not None:
        (tmp_path / "user.toml").write_text(user)
    return Config.load(str(tmp_path), f"{tmp_path}/user.toml")


def written(tmp_path: Path) -> str:
    return (tmp_path / "config.toml").read_text()


def test_a_new_config(tmp_path: Path) -> None:
    made = Config.create(str(tmp_path), PEER, None)
    assert written(tmp_path) == HEAD
    for config in (made, load(tmp_path)):
        assert (config.format, config.peer_id, config.remotes, config.items()) == (1, PEER, {}, [])
    assert (tmp_path / "config.toml").stat().st_mode & 0o777 == 0o600


def test_a_small_command_needs_no_parser(tmp_path: Path) -> None:
    Config.create(str(tmp_path), PEER, None)
    program = (
        "import sys\n"
        "from replican.effects.config import Config\n"
        f"assert Config.load({str(tmp_path)!r}, None).peer_id == {PEER!r}\n"
        "slow = {'tomllib', 'tomlkit', 'dulwich', 'dataclasses', 'json'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_head_in_any_form_is_read(tmp_path: Path) -> None:
    config = load(tmp_path, f"# mine\npeer_id = '{PEER}'\n\nformat=1\n[remotes.a]\nurl='/x'\n")
    assert (config.peer_id, config.remotes) == (PEER, {"a": RemoteSettings("/x")})


@pytest.mark.parametrize(
    "content",
    ["", "x", "format = 1\n", f"format = 0\npeer_id = '{PEER}'\n", f"format = '1'\npeer_id = '{PEER}'\n",
     f"format = true\npeer_id = '{PEER}'\n", "format = 1\npeer_id = 'XYZ'\n", "format = 1\npeer_id = 5\n",
     b"\xff\xfe", b"\0" * 40, "[" * 5000, "# " + "x" * (1 << 20)],
)  # fmt: skip
def test_what_is_no_config_is_damage(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(DamagedError, match=r"config\.toml"):
        load(tmp_path, content)


@pytest.mark.parametrize(
    "tail",
    ["garbage", "[remotes", "remotes = 5", "[remotes.a]\n", "[remotes.a]\nurl = 5\n", "[remotes]\na = 'x'\n",
     "[remotes.'a/b']\nurl = 'x'\n", "[remotes.a]\nurl = 'x'\ntrusted = 'y'\n", "format = 2\n"],
)  # fmt: skip
def test_damage_behind_the_head_is_named_when_it_is_met(tmp_path: Path, tail: str) -> None:
    config = load(tmp_path, HEAD + tail)
    with pytest.raises(DamagedError, match=r"config\.toml"):
        _ = config.remotes


def test_a_later_format_is_no_damage(tmp_path: Path) -> None:
    for content in (f'format = 2\npeer_id = "{PEER}"\n', "format = 99\nwhatever = 1\n"):
        with pytest.raises(UnsupportedError):
            load(tmp_path, content)


def test_without_a_config_there_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(NoRepositoryError):
        load(tmp_path)


def test_what_its_owner_wrote_stays(tmp_path: Path) -> None:
    mine = HEAD + (
        "\n# about me\n[author]\nname   = 'Ann' # short\n\n[future]\nlist = [1,\n  2]\nwhen = 2026-11-20T14:00:00Z\n"
        "\n[remotes.origin]\nurl = '/x' # the disk\nspeed = 5\n"
    )
    config = load(tmp_path, mine)
    config.set("trash.expiry_days", "7")
    config.set_remote("origin", RemoteSettings("/y"))
    text = written(tmp_path)
    assert mine.partition("[remotes")[0] in text
    assert 'url = "/y" # the disk\nspeed = 5\n' in text
    config.unset("trash.expiry_days")
    config.set("author.name", "Bell")
    assert 'name   = "Bell" # short' in written(tmp_path)
    assert load(tmp_path).text("author.name") == "Bell"
    assert dict(config.items())["future.list"] == "[1, 2]"


def test_the_repository_comes_before_the_user_and_both_before_the_default(tmp_path: Path) -> None:
    config = load(tmp_path, HEAD, "[author]\nname = 'User'\n[trash]\nexpiry_days = 3\n[alias]\nci = 'commit'\n")
    assert config.text("author.name") == "User"
    config.set("author.name", "Here")
    assert (config.text("author.name"), config.number("trash.expiry_days")) == ("Here", 3)
    config.unset("author.name")
    assert config.text("author.name") == "User"
    config.set("trash.expiry_days", "0", user=True)
    assert config.number("trash.expiry_days") == 0
    config.unset("trash.expiry_days", user=True)
    assert config.number("trash.expiry_days") == KNOWN["trash.expiry_days"].default == 30
    assert config.find("trash.expiry_days") is None
    assert config.aliases() == {"ci": "commit"}
    assert Config.user_only(f"{tmp_path}/user.toml").text("author.name") == "User"
    assert Config.user_only(None).items() == []


def test_the_users_file_is_made_when_it_is_first_written(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(HEAD)
    user = tmp_path / "home" / ".config" / "replican" / "config.toml"
    config = Config.load(str(tmp_path), str(user))
    config.set("alias.ci", "commit -m 'x \"y\"'", user=True)
    assert Config.load(str(tmp_path), str(user)).aliases() == {"ci": "commit -m 'x \"y\"'"}
    assert written(tmp_path) == HEAD


def test_a_users_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text("# mine\n")
    (tmp_path / "user.toml").symlink_to("dotfiles.toml")
    load(tmp_path, HEAD).set("alias.a", "b", user=True)
    assert (tmp_path / "user.toml").is_symlink()
    assert (tmp_path / "dotfiles.toml").read_text().startswith("# mine\n")


def test_a_damaged_user_file_is_named(tmp_path: Path) -> None:
    config = load(tmp_path, HEAD, "[[[")
    with pytest.raises(DamagedError, match=r"user\.toml"):
        config.text("author.name")
    with pytest.raises(DamagedError, match=r"user\.toml"):
        config.set("alias.a", "b", user=True)


def test_a_known_setting_of_the_wrong_type(tmp_path: Path) -> None:
    for value in ("'x'", "-1", "true", "1.5"):
        config = load(tmp_path, HEAD + f"[trash]\nexpiry_days = {value}\n")
        with pytest.raises(DamagedError, match=r"config\.toml.*trash\.expiry_days must be a number"):
            config.number("trash.expiry_days")
    for bad in ("x", "-1", "1.5", "", "٣", "99999999999"):
        with pytest.raises(UsageError, match=r"trash\.expiry_days must be a number"):
            config.set("trash.expiry_days", bad)


def test_keys_that_cannot_be_set(tmp_path: Path) -> None:
    config = load(tmp_path, HEAD + "[a]\nb = 1\n")
    for key in ("", "format", "peer_id", "remotes.a.url", "a..b", ".a", "a.", "a b", 'a."b', "a.b.c", "a.b\n"):
        with pytest.raises(UsageError):
            config.set(key, "1")
    with pytest.raises(UsageError, match="utf-8"):
        config.set("a.b", "\udcff")
    assert written(tmp_path) == HEAD + "[a]\nb = 1\n"
    for key in ("a.c", "a", "peer_id", "x.y.z"):
        with pytest.raises(NotFoundError):
            config.unset(key)


def test_keys() -> None:
    for parts in (("a", "b"), ("a", "b.c", "d"), ("a-b", "_", "ä b", "")):
        assert split_key(join_key(parts)) == parts
    assert join_key(("remotes", "my.host", "url")) == 'remotes."my.host".url'


def test_remotes(tmp_path: Path) -> None:
    config = Config.create(str(tmp_path), PEER, None)
    trusted = CheckpointId(b"\1" * 32)
    config.set_remote("origin", RemoteSettings("/a b/ü'\"\\", trusted))
    config.set_remote("my.host", RemoteSettings("host:/x"))
    expected = {"origin": RemoteSettings("/a b/ü'\"\\", trusted), "my.host": RemoteSettings("host:/x")}
    assert config.remotes == load(tmp_path).remotes == expected
    assert config.remote("my.host").url == "host:/x"
    assert config.find('remotes."my.host".url') == "host:/x"
    config.set_remote("origin", RemoteSettings("/new"))
    assert load(tmp_path).remote("origin") == RemoteSettings("/new")
    config.remove_remote("origin")
    assert list(load(tmp_path).remotes) == ["my.host"]
    for action in (config.remote, config.remove_remote):
        with pytest.raises(UnknownRemoteError):
            action("origin")
    for name in ("", "a/b", "-x", ".."):
        with pytest.raises(UsageError):
            config.set_remote(name, RemoteSettings("/x"))
    with pytest.raises(UsageError, match="utf-8"):
        config.set_remote("x", RemoteSettings("/\udcff"))


def test_a_write_takes_in_what_another_process_wrote(tmp_path: Path) -> None:
    first, second = load(tmp_path, HEAD), load(tmp_path)
    first.set("a.b", "1")
    second.set("a.c", "2")
    assert load(tmp_path).items() == [("a.b", "1"), ("a.c", "2")]
    assert second.items() == [("a.b", "1"), ("a.c", "2")]


def test_the_settings_of_a_remote(tmp_path: Path) -> None:
    config = load(tmp_path, HEAD + "[remote.origin]\nlimit_rate = 512000\ntimeout = 9\n")
    assert config.remote_text("origin", "limit_rate") == "512000", "a number, as somebody wrote it who edits the file"
    assert config.remote_number("origin", "timeout") == 9
    config.set("remote.origin.limit_rate", "2M")
    assert config.remote_text("origin", "limit_rate") == "2M"
    assert config.remote_text("other", "limit_rate") == ""
    assert config.remote_number("other", "timeout") == 0
    config.set('remote."an.other".timeout', "5")
    assert config.remote_number("an.other", "timeout") == 5
    for key, value in (("limit_rate", "fast"), ("limit_rate", "7"), ("timeout", "soon"), ("timeout", "-1")):
        with pytest.raises(UsageError, match="must be"):
            config.set(f"remote.origin.{key}", value)
    with pytest.raises(UsageError, match="a number from 1 to 2147483647, not"):
        config.set("core.timeout", "0")
    for line in ("limit_rate = 'fast'", "limit_rate = 7", "limit_rate = true", "timeout = 'x'"):
        broken = load(tmp_path, HEAD + f"[remote.origin]\n{line}\n")
        with pytest.raises(DamagedError, match="must be"):
            broken.get(f"remote.origin.{line.split()[0]}")
