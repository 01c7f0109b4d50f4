"""What file systems can hold, and which names they take for one."""

import pytest

from replican.values.traits import twins


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], []),
        (["a", "b", "ab"], []),
        (["A", "a"], [("A", "a")]),
        (["README", "ReadMe", "a", "readme"], [("README", "ReadMe"), ("README", "readme")]),
        (["\u00e9", "e\u0301"], [("\u00e9", "e\u0301")]),
        (["\u00c9", "e\u0301", "x"], [("\u00c9", "e\u0301")]),
        (["stra\u00dfe", "STRASSE"], [("stra\u00dfe", "STRASSE")]),
        (["\u00e9", "\u00e8", "x"], []),
    ],
)
def test_twins(names: list[str], found: list[tuple[str, str]]) -> None:
    assert list(twins(name.encode() for name in names)) == [(one.encode(), other.encode()) for one, other in found]


def test_what_is_no_text_has_no_twin() -> None:
    assert list(twins([b"\xff", b"\xfe", b"a"])) == []
