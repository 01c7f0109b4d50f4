"""Wheel and sdist: built, installed, and run from an empty directory, where no checkout can be mistaken for them."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from replican import commands

HOUSE = Path(__file__).resolve().parents[2]
KEPT = ["pyproject.toml", "MANIFEST.in", "Makefile", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
KEPT += ["LICENSE", "replican", "plumbing", "porcelain", "man", "tests", "bench", "docs"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist, built from a copy so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("copy")
    for name in KEPT:
        if (HOUSE / name).is_dir():
            shutil.copytree(HOUSE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(HOUSE / name, copy / name)
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, copy]
    done = subprocess.run(build, capture_output=True, text=True, check=False, cwd=target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.mark.slow
def test_the_wheel_runs_from_an_empty_directory(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", site, wheel], check=True, cwd=empty)

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, site / "bin/replican", *words],
            capture_output=True,
            text=True,
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(site)},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import replican.porcelain.help as it; print(it.__file__)"],
        capture_output=True,
        text=True,
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(site)
    for row in commands.COMMANDS:
        assert row.name in run()
        assert f"replican-{row.name} - {row.summary}".split()[0] in run("help", row.name)
        assert run(row.name, "-h").startswith(f"Usage: replican {row.name}")
    folder, copy = empty / "folder", empty / "copy"
    folder.mkdir()
    (folder / "letter").write_text("dear")
    run("clone", str(folder), str(copy))
    assert (copy / "letter").read_text() == "dear"
    (copy / "letter").write_text("dear you")
    run("-C", str(copy), "sync")
    assert (folder / "letter").read_text() == "dear you"


@pytest.mark.slow
def test_wheel_and_sdist_have_all_and_no_more(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert all(
        name.split("/")[0] in ("replican", next(iter(built.glob("*.whl"))).name.split("-py3")[0] + ".dist-info")
        for name in names
    )
    for folder in ("replican", "plumbing", "porcelain"):
        for path in (HOUSE / folder).rglob("*.py"):
            inside = path.relative_to(HOUSE).as_posix()
            assert (inside if folder == "replican" else f"replican/{inside}") in names
    assert {f"replican/man/{path.name}" for path in (HOUSE / "man").iterdir()} <= names
    assert "replican/py.typed" in names
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert set(KEPT) <= inside_sdist
