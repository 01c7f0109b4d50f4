"""What all tests share: how generative tests run, and the command line as a black box."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import settings

TORTURE = int(os.environ.get("REPLICAN_TORTURE", "0"))

settings.register_profile("replican", deadline=None, derandomize=not TORTURE, max_examples=TORTURE or 100)
settings.load_profile("replican")

# Whoever runs the tests in the background of a shell has interruptions ignored: by these processes, and by all that
# they start. Some tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Result(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine(Protocol):
    """Runs ``replican`` as a process of its own, in an environment that has nothing of the user's.

    ``code`` is the expected exit code; None for any. ``env`` is added to the environment.
    """

    def __call__(
        self,
        *words: str | bytes | os.PathLike[str],
        cwd: str | bytes | os.PathLike[str] | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        code: int | None = 0,
    ) -> Result: ...


def program() -> Sequence[str]:
    """The installed ``replican`` beside this interpreter."""
    installed = Path(sys.executable).parent / "replican"
    if not installed.exists():
        pytest.fail(f"replican is not installed beside {sys.executable}: run `make test`")
    return [str(installed)]


@pytest.fixture(autouse=True, scope="session")
def nothing_is_flushed() -> Iterator[None]:
    """In this process: see ``tests/support/unflushed.py``."""
    from unflushed import unflushed

    with pytest.MonkeyPatch.context() as patch:
        unflushed(patch)
        yield


@pytest.fixture(name="program")
def installed_program() -> Sequence[str]:
    """What to run as ``replican``."""
    return program()


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that commands are run in: a home that is empty, UTF-8, no terminal."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8", "REPLICAN_AUTHOR_NAME": "tester"}


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str], request: pytest.FixtureRequest) -> CommandLine:
    """The command line, run in ``tmp_path`` unless ``cwd`` says otherwise."""
    if request.node.get_closest_marker("within"):
        return within(tmp_path, environment)

    def run(
        *words: str | bytes | os.PathLike[str],
        cwd: str | bytes | os.PathLike[str] | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        code: int | None = 0,
    ) -> Result:
        done = subprocess.run(
            [*program(), *words],
            cwd=tmp_path if cwd is None else cwd,
            input=stdin,
            capture_output=True,
            env={**environment, **(env or {})},
            timeout=120,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "surrogateescape"))
        assert code is None or result.code == code, f"exit code {result.code} for {words}\n{result.text}\n{result.err}"
        assert "Traceback" not in result.err, result.err
        return result

    return run


def within(tmp_path: Path, environment: Mapping[str, str]) -> CommandLine:
    """The command line within this process, which has that environment meanwhile, and no other."""
    from in_process import InProcess

    call = InProcess(tmp_path)

    def run(*words: Any, env: Mapping[str, str] | None = None, **how: Any) -> Result:
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update({**environment, **(env or {})})
            return Result(*call(*words, **how))
        finally:
            os.environ.clear()
            os.environ.update(before)

    return run


@pytest.fixture
def replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Folders, and the command line within this process: see ``tests/support/replicas.py``."""
    from replicas import Replicas

    return Replicas(tmp_path, monkeypatch)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What tests have to say of their run beyond passing (their property ``summary``), where it was asked for."""
    if not (TORTURE or any(os.environ.get(f"REPLICAN_{name}") for name in ("TORTURE_CHECK", "SOAK"))):
        return
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == "summary":
                    terminalreporter.write_line(str(value))
