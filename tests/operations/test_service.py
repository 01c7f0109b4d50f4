"""Installing and taking away what has a folder watched; a file that is somebody else's stays."""

import json
import os
import plistlib
import sys
from pathlib import Path

import pytest

from replican.operations.service import install, uninstall
from replican.plumbing._front.context import Context
from replican.porcelain import _service
from replican.repository import Repository
from replican.settings import services_directory
from replican.values.errors import NotFoundError, RefusedError, UnknownRemoteError
from replican.values.units import systemd_unit

PROGRAM = [b"/usr/bin/python3", b"/usr/bin/replican"]
UNIT = systemd_unit(b"/home/me/docs", PROGRAM, [])
OTHER = systemd_unit(b"/home/me/docs", PROGRAM, ["disk"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "config/systemd/user"


def test_it_is_written_once_and_then_anew(place: Path) -> None:
    done = install(UNIT, str(place))
    assert (done.path, done.written) == (str(place / UNIT.file), True)
    assert (place / UNIT.file).read_bytes() == UNIT.content
    assert not install(UNIT, str(place)).written
    assert install(OTHER, str(place)).written
    assert os.listdir(place) == [UNIT.file]
    assert (place / UNIT.file).read_bytes() == OTHER.content


def test_it_is_taken_away_with_what_enables_it(place: Path) -> None:
    install(UNIT, str(place))
    assert UNIT.link is not None
    link, foreign = place / UNIT.link, place / "default.target.wants/other.service"
    link.parent.mkdir()
    for each in (link, foreign):
        each.symlink_to(place / UNIT.file)
    assert uninstall(OTHER, str(place)) == str(place / UNIT.file)
    assert sorted(path.name for path in place.iterdir()) == ["default.target.wants"]
    assert os.listdir(place / "default.target.wants") == ["other.service"]
    with pytest.raises(NotFoundError):
        uninstall(UNIT, str(place))
    install(UNIT, str(place))
    link.symlink_to("/elsewhere.service")
    uninstall(UNIT, str(place))
    assert link.is_symlink(), "it enables something else"


@pytest.mark.parametrize(
    "content", [b"", b"[Service]\nExecStart=/x\n", UNIT.content + b"# mine\n", UNIT.content.replace(b"=5", b"=1")]
)
def test_what_is_not_ours_or_was_edited_stays(place: Path, content: bytes) -> None:
    place.mkdir(parents=True)
    (place / UNIT.file).write_bytes(content)
    for do in (install, uninstall):
        with pytest.raises(RefusedError, match="was not written by replican, or has been edited since"):
            do(UNIT, str(place))
    assert (place / UNIT.file).read_bytes() == content


def test_no_link_is_followed_but_to_the_directory(place: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.mkdir()
    place.parent.mkdir(parents=True)
    place.symlink_to(real)
    assert install(UNIT, str(place)).written
    assert uninstall(UNIT, str(place)) == str(real / UNIT.file)
    victim = tmp_path / "victim"
    victim.write_bytes(OTHER.content)
    (real / UNIT.file).symlink_to(victim)
    for do in (install, uninstall):
        with pytest.raises(RefusedError, match="cannot be read"):
            do(UNIT, str(place))
    assert victim.read_bytes() == OTHER.content


# -- the front -------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "my docs"
    Repository.init(str(root)).close()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    return root


def test_the_front_says_what_it_did_and_what_to_do(
    folder: Path, place: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    ctx = Context()
    _service.install(ctx, print_only=True)
    ctx.flush()
    printed = capfdbinary.readouterr().out
    assert not place.exists()
    _service.install(ctx)
    ctx.flush()
    (path,) = place.iterdir()
    out, err = capfdbinary.readouterr()
    assert out.decode() == f"wrote {path}\n"
    assert f"systemctl --user enable --now {path.name}" in err.decode()
    assert path.read_bytes() == printed
    assert f'"-C" "{folder}" "watch"\n'.encode() in printed
    _service.install(ctx)
    ctx.flush()
    assert capfdbinary.readouterr().out.decode() == f"{path} is there already\n"
    with pytest.raises(UnknownRemoteError):
        _service.install(ctx, ["nowhere"])
    _service.uninstall(Context(json=True))
    told = json.loads(capfdbinary.readouterr().out)
    assert told["path"] == str(path)
    assert f"systemctl --user stop {path.name}" in told["disable"]
    assert list(place.iterdir()) == []


def test_elsewhere_it_is_a_property_list(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    _service.install(Context(json=True))
    (path,) = (tmp_path / "home/Library/LaunchAgents").iterdir()
    assert plistlib.loads(path.read_bytes())["ProgramArguments"][-3:] == ["-C", str(folder), "watch"]
    _service.uninstall(Context(json=True))
    assert not path.exists()


def test_the_program_that_is_run_is_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program) -> None:
    monkeypatch.chdir(Path(program[0]).parent)
    monkeypatch.setattr(sys, "argv", ["./replican", "watch"])
    assert _service.program() == [os.fsencode(sys.executable), os.fsencode(program[0])]
    monkeypatch.setattr(sys, "argv", ["-c"])
    import subprocess

    for words in (_service.program(), [os.fsencode(sys.executable), os.fsencode(program[0])]):
        done = subprocess.run([*words, b"version"], capture_output=True, cwd="/", env={}, text=True, check=True)
        assert done.stdout.startswith("replican ")


def test_where_services_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert services_directory() == "/home/ann/.config/systemd/user"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/x/")
    assert services_directory() == "/etc/x/systemd/user"
    assert services_directory(launchd=True) == "/home/ann/Library/LaunchAgents"
    monkeypatch.setenv("HOME", "nowhere")
    assert services_directory(launchd=True) is None
