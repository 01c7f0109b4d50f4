from typing import Annotated

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replican.plumbing._front import app, quick
from replican.plumbing._front.params import GLOBALS, Argument, Command, Option, parameters
from replican.values.errors import UsageError


def many_options(
    ctx: object,
    first: Annotated[str, Argument("FIRST", help="")],
    zero: Annotated[bool, Option("-z", "--zero", help="")] = False,
    recurse: Annotated[bool, Option("-r", help="")] = False,
    number: Annotated[int | None, Option("-n", "--number", metavar="N", help="")] = None,
    parents: Annotated[tuple[str, ...], Option("-p", metavar="ID", help="")] = (),
    keep: Annotated[str | None, Option("--keep", choices=("copy", "both"), help="")] = None,
    rest: Annotated[tuple[str, ...], Argument("REST", help="")] = (),
) -> None: ...


def two_optional(
    ctx: object,
    a: Annotated[str | None, Argument("A", help="")] = None,
    b: Annotated[str | None, Argument("B", help="")] = None,
    flag: Annotated[bool, Option("--flag", help="")] = False,
) -> None: ...


def last_apart(
    ctx: object,
    sources: Annotated[tuple[str, ...], Argument("SRC", help="")],
    target: Annotated[str, Argument("DST", help="")],
    message: Annotated[str, Option("-m", "--message", metavar="MSG", help="")] = "none",
) -> None: ...


def a_number(ctx: object, count: Annotated[int, Argument("COUNT", help="")]) -> None: ...


COMMANDS: list[Command] = [many_options, two_optional, last_apart, a_number]

TYPED = """
a b 7 -3 - -- -z -r -zr -rz -zn5 -n -n5 -n=5 --number --number=8 --number=x -p -pq -p=q -rp -nz --keep --keep=copy both
--keep=no --zero --zero=1 --zer -x -zx --flag -m -mtext --message= --message --json --jsonl -q -C -C. --wait=2 --wait
--no-progress --quiet=1 --version
"""
WORDS = st.sampled_from(TYPED.split()) | st.text(max_size=4)


@given(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=6))
@example(last_apart, ["only"])
@example(many_options, ["a", "-p", "--", "--", "-z"])
def test_it_answers_as_typer_does_or_not_at_all(command: Command, words: list[str]) -> None:
    answer = quick.parse((*parameters(command), *GLOBALS), words)
    try:
        truth = app.parse("replican it", command, "Help.", words)
    except UsageError:
        truth = None
    # a wrong value that a later one overrides is typer's affair, and so is all that is wrong
    assert answer is None or answer == truth


def test_help_is_left_to_typer() -> None:
    for word in ("-h", "--help"):
        assert quick.parse((*parameters(two_optional), *GLOBALS), [word]) is None


def test_options_up_to_the_first_argument() -> None:
    given_, rest = quick.split_options(GLOBALS, ["-C", "x", "-Cy", "--json", "log", "-n", "1"], everywhere=False)
    assert given_ == {"global_C": ("x", "y"), "global_json": True}
    assert rest == ["log", "-n", "1"]


@pytest.mark.parametrize("words", [["--bad"], ["--json=1"], ["--wait"], ["--wait", "soon"], ["-C"]])
def test_what_is_not_plain_says_why(words: list[str]) -> None:
    with pytest.raises(quick.NotPlain, match=r"\w"):
        quick.split_options(GLOBALS, words, everywhere=False)


def test_the_program_never_asks_typer_in_plain_cases() -> None:
    answer = quick.parse(parameters(many_options), ["a", "-zrn5", "-p", "x", "-py", "b", "--", "-c"])
    assert answer == {
        "first": "a",
        "zero": True,
        "recurse": True,
        "number": 5,
        "parents": ("x", "y"),
        "keep": None,
        "rest": ("b", "-c"),
    }
