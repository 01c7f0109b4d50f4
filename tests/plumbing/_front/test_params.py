from typing import Annotated

from replican.plumbing._front.params import GLOBALS, Argument, Option, parameters, synopsis


def command(
    ctx: object,
    tree: Annotated[str, Argument("TREE", help="the tree", complete="ref")],
    parent: Annotated[str | None, Option("-p", "--parent", metavar="ID", help="the parent")] = None,
    *,
    nul: Annotated[bool, Option("-z", help="end in NUL")] = False,
    names: Annotated[tuple[str, ...], Option("--name", metavar="NAME", help="a name")] = (),
    keep: Annotated[str | None, Option("--keep", choices=("a", "b"), help="which")] = None,
    paths: Annotated[tuple[str, ...], Argument("PATH", help="only these")] = (),
) -> None: ...


def test_annotations_say_it_all() -> None:
    found = {parameter.name: parameter for parameter in parameters(command)}
    assert list(found) == ["tree", "parent", "nul", "names", "keep", "paths"]
    assert found["tree"].required
    assert not found["tree"].names
    assert found["tree"].complete == "ref"
    assert found["parent"].kind is str
    assert not found["parent"].required
    assert found["nul"].is_flag
    assert found["paths"].multiple
    assert found["keep"].metavar == "a|b"


def test_the_synopsis_shows_options_first() -> None:
    expected = "[-p ID] [-z] [--name NAME]... [--keep a|b] TREE [PATH...]"
    assert synopsis(parameters(command)) == expected


def test_no_global_option_hides_another() -> None:
    names = [name for option in GLOBALS for name in option.names]
    assert len(set(names)) == len(names)
    assert all(option.name.startswith("global_") for option in GLOBALS)
