"""``replican conflicts``."""

import os

import pytest
from replicas import OLD, Replicas
from terminal import on_a_terminal

from replican.values.ids import blob_id


def test_none(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    assert replicas("b", "conflicts").text == ""
    assert replicas.json("b", "conflicts") == []
    replicas("b", "conflicts", "--exit-code", code=0)


def test_each_copy_is_listed(replicas: Replicas) -> None:
    replicas.clone({"d/f.txt": "1"})
    copy = replicas.conflict("d/f.txt")
    assert replicas("b", "conflicts").text == f"d/f.txt\td/{copy}\n"
    assert replicas("b", "conflicts", "-z").out == f"d/f.txt\0d/{copy}\0".encode()
    assert replicas.json("b", "conflicts") == [
        {
            "path": "d/f.txt",
            "copy": f"d/{copy}",
            "current_id": blob_id(b"by b").hex(),
            "copy_id": blob_id(b"by a").hex(),
            "time_ns": OLD + 10**9,
        }
    ]
    assert replicas.json("a", "conflicts") == replicas.json("b", "conflicts")
    replicas("b", "conflicts", "--exit-code", code=1)


def test_settled_by_hand_counts_before_it_is_recorded(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    copy = replicas.conflict("f")
    os.unlink(replicas.base / "b" / copy)
    assert replicas.json("b", "conflicts") == []
    assert len(replicas.json("a", "conflicts")) == 1
    replicas("b", "sync")
    assert replicas.json("a", "conflicts") == []


def test_a_directory_has_the_name(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/x", "a file")
    replicas.write("b/x/inner", "in a directory")
    replicas("b", "sync")
    (conflict,) = replicas.json("b", "conflicts")
    assert conflict["path"] == "x"
    assert replicas.read(f"b/{conflict['copy']}") == "a file"


def test_odd_names(replicas: Replicas) -> None:
    replicas.clone({"new\nline": "1"})
    copy = replicas.conflict("new\nline")
    assert replicas("b", "conflicts").text.startswith('"new\\nline"\t"new\\nline.conflict-')
    assert replicas.json("b", "conflicts")[0]["copy"] == copy


# -- on a terminal ------------------------------------------------------------------------------------------------


def cells(shown: str) -> list[list[str]]:
    """The rows of a table, each cut where the heads begin."""
    head, *rows = [row for row in shown.splitlines() if row.strip(" -")]
    starts = [head.index(word) for word in ("path", "version", "bytes", "modified")]
    ends = [starts[1], starts[2], starts[3], None]
    # numbers stand to the right, and begin before their head where they are longer than it
    assert all(row[start - 1] == " " for row in rows for start in (starts[1], starts[3]) if len(row) > start), shown
    return [[row[start:end].strip() for start, end in zip(starts, ends, strict=True)] for row in rows]


def test_a_table(replicas: Replicas) -> None:
    replicas.clone({"d/f.txt": "1", "g": "1"})
    first, second = replicas.conflict("d/f.txt", "longer, by b"), replicas.conflict("g")
    shown = on_a_terminal(replicas.base / "b", "conflicts", columns=120)
    settle = "settle one with: replican resolve PATH --keep current|copy|both"
    assert shown.endswith(f"{settle}\n")
    assert cells(shown.removesuffix(f"{settle}\n")) == [
        ["g", "current", "4", "2020-09-13 12:26:42"],
        [second, "copy", "4", "2020-09-13 12:26:41"],
        ["d/f.txt", "current", "12", "2020-09-13 12:26:42"],
        [f"d/{first}", "copy", "4", "2020-09-13 12:26:41"],
    ]
    assert on_a_terminal(replicas.base / "b", "--quiet", "conflicts", columns=120) + f"{settle}\n" == shown


def test_a_directory_in_a_table(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    replicas.write("a/x", "a file", OLD)
    replicas.write("b/x/inner", "in a directory")
    replicas("b", "sync")
    shown = on_a_terminal(replicas.base / "b", "--quiet", "conflicts", columns=120)
    assert [row[1:] for row in cells(shown)] == [["directory", "", ""], ["copy", "6", "2020-09-13 12:26:40"]]


def test_no_table_where_there_is_nothing(replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    assert on_a_terminal(replicas.base / "b", "conflicts") == "no conflicts\n"


@pytest.mark.parametrize("columns", [30, 60])
def test_a_narrow_terminal_gets_every_letter_of_a_name(replicas: Replicas, columns: int) -> None:
    """Whatever of it is a space. Where the other columns alone are wider than that, the terminal breaks the rows."""
    name = "a rather long name, " * 4
    replicas.clone({name: "1"})
    copy = replicas.conflict(name)
    shown = on_a_terminal(replicas.base / "b", "--quiet", "conflicts", columns=columns)
    rule, *rows = shown.splitlines()[1:]
    width = rule.index(" ")
    assert width < 40
    assert columns < 60 or all(len(row) <= columns for row in rows), shown
    assert "".join(row[:width] for row in rows) == name + copy


def test_a_name_in_a_table_is_neither_obeyed_nor_markup(replicas: Replicas) -> None:
    name = "[red]a\u202egpj\x1b[2J[/red]\u6f22:smile:"
    replicas.clone({name: "1"})
    replicas.conflict(name)
    shown = on_a_terminal(replicas.base / "b", "conflicts")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert '"[red]a\\342\\200\\256gpj\\033[2J[/red]\\346\\274\\242:smile:"' in shown


def test_no_table_for_a_pipe(cli, replicas: Replicas) -> None:
    replicas.clone({"f": "1"})
    copy = replicas.conflict()
    assert cli("conflicts", cwd=replicas.base / "b").text == f"f\t{copy}\n"
