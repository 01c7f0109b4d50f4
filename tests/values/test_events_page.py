"""The page of the events is true: kinds, fields, levels, gates, the example."""

import json
import re
from pathlib import Path

import pytest

from replican.effects.setting import KNOWN
from replican.values import events

FOLDER = Path(__file__).resolve().parents[2]
PAGE = (FOLDER / "man/replican-events.7").read_text(encoding="utf-8")
PLAIN = PAGE.replace("\\-", "-")
KINDS = events.Event.__subclasses__()
ALL = {"kind", "time", "time_ns"}


def name_of(kind: type[events.Event]) -> str:
    return str(kind.__struct_config__.tag)


def described() -> dict[str, str]:
    """What stands on the page below the name of each kind."""
    text = PLAIN.split(".SH KINDS")[1].split(".SH LEVELS")[0]
    return dict(re.findall(r"^\.TP\n\.B (\S+)\n(.*?)(?=^\.TP$|\Z)", text, re.MULTILINE | re.DOTALL))


def test_every_kind_stands_there_and_no_other() -> None:
    assert list(described()) == [name_of(kind) for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_every_field_stands_there_in_its_order_and_no_other(kind: type[events.Event]) -> None:
    heads = re.findall(r"^\.BR (\w+)(?: \" and \" (\w+))? :$", described()[name_of(kind)], re.MULTILINE)
    found = [name for pair in heads for name in pair if name]
    inner = ["copy"] if kind is events.Conflict else []
    assert found == [*kind.__struct_fields__[1:], *inner]


def test_levels() -> None:
    text = PLAIN.split(".SH LEVELS")[1].split(".SH EXAMPLES")[0]
    found = {level: set(re.findall(r"[a-z-]+", kinds)) for level, kinds in re.findall(r"\.B (\w+)\n\.BR (.*)", text)}
    marked = {name_of(kind): kind.level for kind in KINDS if kind.level != events.INFO}
    assert found == {level: {name for name in marked if marked[name] == level} for level in set(marked.values())}


def test_the_settings_of_the_log_file() -> None:
    for key, setting in KNOWN.items():
        if key.startswith("watch.log_"):
            assert re.search(rf"\.B {key}\n\({setting.default}\b", PLAIN), key


def test_the_gates_that_there_are_stand_there() -> None:
    source = (FOLDER / "replican/decisions/gates.py").read_text(encoding="utf-8")
    for gate in set(re.findall(r'Gate\("([\w-]+)"', source)):
        assert re.search(rf"(?<![\w-]){gate}(?![\w-])", described()["gate"]), gate


def test_the_example() -> None:
    event = events.RemoteFound(1795176000250000000, "disk", "/mnt/disk")
    (shown,) = re.findall(r"^\.nf\n(\{.*?\})\n\.fi", PLAIN, re.MULTILINE | re.DOTALL)
    assert json.loads(shown) == event.as_json()
    assert f".nf\n{event.line()}\n.fi" in PLAIN
