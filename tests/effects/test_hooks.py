import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from replican.effects.hooks import FolderHooks, find_hook
from replican.values.hooks import GATE, POST_MERGE, PRE_MERGE

Make = Callable[..., FolderHooks]


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Puts a shell script in the place of a hook."""

    def make(name: str, script: str, mode: int = 0o755) -> Path:
        directory = tmp_path / ".replican/hooks"
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        return path

    return make


@pytest.fixture
def hooks(tmp_path: Path) -> Make:
    def make(seconds: float = 20, **how: object) -> FolderHooks:
        def environment(added: object) -> dict[str, str]:
            return {**os.environ, **dict(added)}  # type: ignore[call-overload]

        return FolderHooks(str(tmp_path), f"{tmp_path}/.replican", lambda: seconds, environment, **how)  # type: ignore[arg-type]

    return make


def test_no_hook_no_process(hooks: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(subprocess, "Popen", never)
    for ready in (False, True):
        if ready:
            (tmp_path / ".replican/hooks").mkdir(parents=True)
        made = hooks()
        assert not made.has(PRE_MERGE)
        assert made.ask(PRE_MERGE, ["x"]) is None
        made.tell_later(POST_MERGE, [])
        assert made.tell_now() == []


def test_it_is_given_all_that_the_page_says(hooks: Make, put: Callable[..., Path], tmp_path: Path) -> None:
    put(POST_MERGE, 'pwd -P; echo "$REPLICAN_ROOT $REPLICAN_HOOK $MARK $#: $1|$2"; tr "\\0" "\\n"; echo loud >&2')
    heard: list[tuple[str, str]] = []
    os.environ["MARK"] = "as it is"
    made = hooks(tell=lambda name, line: heard.append((name, line)))
    made.tell_later(POST_MERGE, ["a b", "\udcff$HOME"], b"one\0two\xff\0")
    assert heard == []
    assert made.tell_now() == []
    at = os.path.realpath(tmp_path)
    assert heard == [
        (POST_MERGE, line)
        for line in (at, f"{tmp_path} {POST_MERGE} as it is 2: a b|\udcff$HOME", "one", "two\udcff", "loud")
    ]
    del os.environ["MARK"]


def test_without_a_listener_its_words_are_notes(hooks: Make, put: Callable[..., Path]) -> None:
    put(POST_MERGE, "printf 'one\\ntwo'; exit 3")
    made = hooks()
    made.tell_later(POST_MERGE, [])
    assert made.tell_now() == ["post-merge: one", "post-merge: two", "the hook post-merge ended with 3"]
    assert made.tell_now() == []
    put(POST_MERGE, "seq 1000")
    made.tell_later(POST_MERGE, [])
    notes = made.tell_now()
    assert len(notes) == 21
    assert notes[-2:] == ["post-merge: 20", "post-merge: (the rest of what it wrote is left out)"]


def test_who_asks_learns_why_not(hooks: Make, put: Callable[..., Path]) -> None:
    put(PRE_MERGE, "echo not on; echo sundays; exit 1")
    assert hooks().ask(PRE_MERGE, []) == "the hook pre-merge ended with 1: not on sundays"
    heard: list[str] = []
    listening = hooks(tell=lambda _, line: heard.append(line))
    assert listening.ask(PRE_MERGE, []) == "the hook pre-merge ended with 1"
    assert heard == ["not on", "sundays"]
    put(PRE_MERGE, "kill -9 $$")
    assert hooks().ask(PRE_MERGE, []) == "the hook pre-merge was ended by signal 9"
    put(PRE_MERGE, "exit 0")
    assert hooks().ask(PRE_MERGE, []) is None


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def linked_directory(path: Path) -> None:
    path.parent.rename(path.parents[1] / "other")
    path.parent.symlink_to("other")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o755)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o755)


UNFIT: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.chmod(0o775), "others may write to it (chmod go-w)"),
    (lambda path: path.chmod(0o757), "others may write to it (chmod go-w)"),
    (lambda path: path.parent.chmod(0o777), "others may write to its directory (chmod go-w)"),
    (link, "it is a link, which is not followed"),
    (linked_directory, "its directory is a link, which is not followed"),
    (directory, "it is no regular file"),
    (fifo, "it is no regular file"),
]


@pytest.mark.parametrize(("spoil", "why"), UNFIT)
def test_what_is_not_surely_the_owners_is_not_run(
    hooks: Make, put: Callable[..., Path], tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    for name in (PRE_MERGE, POST_MERGE):
        spoil_it = put(name, f"touch {tmp_path}/ran")
    spoil(spoil_it)
    made = hooks()
    made.tell_later(POST_MERGE, [])
    made.tell_later(POST_MERGE, [])
    assert made.tell_now() == [f"the hook post-merge is not run: {why}"]
    made.tell_later(POST_MERGE, [])
    assert made.tell_now() == [], "it is said once"
    if "directory" not in why:
        spoil(tmp_path / ".replican/hooks" / PRE_MERGE)
    assert made.ask(PRE_MERGE, []) == f"the hook pre-merge is not run: {why}"
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("which", ["file", "directory"])
def test_what_belongs_to_another_user_is_not_run(hooks: Make, put: Callable[..., Path], which: str) -> None:
    path = put(PRE_MERGE, "exit 0")
    os.chown(path if which == "file" else path.parent, 12345, 12345)
    what = "it" if which == "file" else "its directory"
    assert hooks().ask(PRE_MERGE, []) == f"the hook pre-merge is not run: {what} belongs to another user"


def test_one_that_is_not_executable_is_switched_off(hooks: Make, put: Callable[..., Path]) -> None:
    put(PRE_MERGE, "exit 1", 0o644)
    made = hooks()
    assert not made.has(PRE_MERGE)
    assert made.ask(PRE_MERGE, []) is None
    assert made.tell_now() == ["the hook pre-merge is not run: it is not executable (chmod +x)"]


def test_what_cannot_be_run_is_told(hooks: Make, put: Callable[..., Path], tmp_path: Path) -> None:
    path = put(PRE_MERGE, "")
    path.write_bytes(b"neither a program nor a script")
    assert "cannot be run: exec format error" in str(hooks().ask(PRE_MERGE, []))
    path.write_bytes(b"#!/nowhere/at/all\n")
    assert "cannot be run: no such file or directory" in str(hooks().ask(PRE_MERGE, []))


def test_one_that_hangs_is_ended_with_all_that_it_started(
    hooks: Make, put: Callable[..., Path], tmp_path: Path
) -> None:
    put(PRE_MERGE, f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/child; wait; sleep 1000")
    why = hooks(0.3).ask(PRE_MERGE, [])
    assert why == "the hook pre-merge took more than 0.3 s, and was ended (hooks.timeout)"
    child = int((tmp_path / "child").read_text())
    while os.path.exists(f"/proc/{child}") and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        time.sleep(0.01)


def test_who_closes_its_output_and_sleeps_is_ended_too(hooks: Make, put: Callable[..., Path]) -> None:
    put(PRE_MERGE, "exec >&- 2>&-; sleep 1000")
    assert "took more than 0.2 s" in str(hooks(0.2).ask(PRE_MERGE, []))


def test_who_goes_on_in_the_background_is_not_waited_for(hooks: Make, put: Callable[..., Path], tmp_path: Path) -> None:
    put(PRE_MERGE, f"echo first; sleep 1000 & echo $! > {tmp_path}/child; exit 0")
    heard: list[str] = []
    try:
        assert hooks(900, tell=lambda _, line: heard.append(line)).ask(PRE_MERGE, []) is None
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert heard == ["first"]


@pytest.mark.parametrize("script", ["exit 0", "exec <&-; echo done", "head -c 10 >/dev/null", "cat | tail -c 5"])
def test_input_is_read_or_not(hooks: Make, put: Callable[..., Path], script: str) -> None:
    put(PRE_MERGE, script)
    heard: list[str] = []
    made = hooks(tell=lambda _, line: heard.append(line))
    assert made.ask(PRE_MERGE, [], b"x" * 5_000_000) is None
    assert heard == (["xxxxx"] if "tail" in script else ["done"] if "done" in script else [])


def test_endless_output_is_cut(hooks: Make, put: Callable[..., Path]) -> None:
    put(PRE_MERGE, "head -c 8000000 /dev/zero; yes | head -c 8000000")
    heard: list[str] = []
    assert hooks(900, tell=lambda _, line: heard.append(line)).ask(PRE_MERGE, []) is None
    assert heard[-1] == "(the rest of what it wrote is left out)"
    assert sum(map(len, heard)) < 3_000_000


def test_an_interruption_ends_it(hooks: Make, put: Callable[..., Path], tmp_path: Path) -> None:
    put(PRE_MERGE, f"echo $$ > {tmp_path}/pid; echo here; sleep 1000")

    def interrupt(_: str, __: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hooks(900, tell=interrupt).ask(PRE_MERGE, [])
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}")


def test_an_interruption_while_it_begins_ends_it(
    hooks: Make, put: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(PRE_MERGE, f"echo $$ > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; sleep 1000")

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *words: object, **how: object) -> None:
            super().__init__(*words, **how)  # type: ignore[call-overload]
            while not (tmp_path / "pid").exists():
                time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    with pytest.raises(KeyboardInterrupt):
        hooks(900).ask(PRE_MERGE, [])
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_within_a_hook_only_those_that_decide_are_run(hooks: Make, put: Callable[..., Path]) -> None:
    put(PRE_MERGE, "exit 1")
    put(POST_MERGE, "echo told")
    made = hooks(asks_only=True)
    made.tell_later(POST_MERGE, [])
    assert (made.has(POST_MERGE), made.tell_now()) == (False, [])
    assert made.ask(PRE_MERGE, []) == "the hook pre-merge ended with 1"


def test_a_gate_is_news_once(hooks: Make) -> None:
    made = hooks()
    assert made.is_news("-", ("mass-delete",))
    assert not made.is_news("-", ("mass-delete",))
    assert made.is_news("disk", ("mass-delete",))
    assert made.is_news("-", ("mass-delete", "missing-mount"))
    assert not made.is_news("-", None)
    assert made.is_news("-", ("mass-delete", "missing-mount"))


def test_looking_for_one(put: Callable[..., Path], tmp_path: Path) -> None:
    path = put(GATE, "")
    found = find_hook(f"{tmp_path}/.replican", GATE)
    assert found is not None
    assert (found.path, found.flaw) == (str(path), None)
    assert find_hook(f"{tmp_path}/.replican", POST_MERGE) is None
