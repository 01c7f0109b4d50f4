"""What is left on a stage is removed, also where somebody else does that at the same moment."""

import os
import shutil
from pathlib import Path

import pytest
from folders import write

from replican.effects import clearing
from replican.effects.staging import Stage

STEPS = ["set_mode", "open", "unlink", "rename", "rmdir"]


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("step", STEPS)
def test_another_process_removes_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, moment: int
) -> None:
    """Before any of the first steps of each kind."""
    with Stage(str(tmp_path / "stage")) as stage:
        for name in ("one", "sub/two", "sub/below/three", "sub/other/four"):
            write(tmp_path / "stage/left" / name, b"left")
        of = clearing if step == "set_mode" else os
        work, count = getattr(of, step), 0

        def take(*given: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == moment + 1:
                monkeypatch.setattr(of, step, work)
                for each in os.listdir(stage.path):
                    shutil.rmtree(f"{stage.path}/{each}")
            return work(*given, **named)

        monkeypatch.setattr(of, step, take)
        stage.remove(b"left")
        assert os.listdir(stage.path) == []


def test_a_name_that_is_taken_by_an_earlier_run(tmp_path: Path) -> None:
    with Stage(str(tmp_path / "stage")) as stage:
        for number in range(1, 9):
            write(tmp_path / f"stage/gone-{os.getpid()}-{number}/of", b"an earlier run")
        write(tmp_path / "stage/left/sub/file", b"left")
        stage.remove(b"left")
        assert len(os.listdir(stage.path)) == 8
        stage.clear()
        assert os.listdir(stage.path) == []
