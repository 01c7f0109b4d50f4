import replican
from replican.plumbing._front.output import JSON_VERSION


def test_the_version(cli) -> None:
    expected = f"replican {replican.__version__}\n"
    for words in (["version"], ["--version"], ["hash-object", "--version"], ["-C", "/", "--version"]):
        assert cli(*words).text == expected


def test_json_names_what_it_promises(cli) -> None:
    for words in (["version", "--json"], ["--json", "--version"]):
        told = cli(*words).json()
        assert told["version"] == replican.__version__
        assert told["json"] == JSON_VERSION
        assert isinstance(told["format"], int)
        assert isinstance(told["rules"], int)
