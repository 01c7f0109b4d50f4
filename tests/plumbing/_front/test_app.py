from typing import Annotated

import pytest

from replican.plumbing._front import app
from replican.plumbing._front.params import Argument, Option
from replican.values.errors import UsageError

TEXT = """Do a thing.

With a long
paragraph, and [brackets] in it.

    an example | as --it stands
    its second line
"""


def command(
    ctx: object,
    tree: Annotated[str, Argument("TREE", help="which tree")],
    parent: Annotated[str | None, Option("-p", "--parent", metavar="ID", help="the parent")] = None,
) -> None: ...


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.parse("replican it", command, TEXT, ["-h"]) is None
    told = capsys.readouterr().out
    assert "Usage: replican it [-p ID] TREE" in told
    assert "With a long paragraph, and [brackets] in it." in told
    assert "      an example | as --it stands\n      its second line\n" in told
    assert "-p, --parent ID" in told
    assert "which tree" in told
    assert "--no-progress" not in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing argument 'TREE'"),
        (["a", "b"], "got unexpected extra argument"),
        (["a", "--parnt", "x"], "no such option: --parnt"),
        (["a", "-p"], "option '-p' requires an argument"),
    ],
)
def test_complaints_are_in_our_words(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        app.parse("replican it", command, TEXT, words)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == "'replican it -h' tells how it is used"
