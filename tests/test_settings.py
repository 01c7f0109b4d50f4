"""The environment, as far as replican knows it."""

import pytest

from replican import settings
from replican.values.checkpoints import TIME_LIMIT, Author, Checkpoint, encode_checkpoint, parse_checkpoint
from replican.values.errors import UsageError
from replican.values.ids import EMPTY_TREE


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "PAGER", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AUTHOR_NAME", "AUTHOR_DATE", "PAGER", "TRACEBACK"):
        monkeypatch.delenv(f"REPLICAN_{name}", raising=False)


def test_the_users_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert settings.user_config_file() == "/home/ann/.config/replican/config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/x/")
    assert settings.user_config_file() == "/etc/x/replican/config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert settings.user_config_file() == "/home/ann/.config/replican/config.toml"


def test_the_authors_name(monkeypatch: pytest.MonkeyPatch) -> None:
    default = settings.author_name()
    assert default.endswith("@" + settings.host_name())
    assert settings.author_name("") == default
    assert settings.author_name("Ann Bell") == "Ann Bell"
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "  Cem\n\u2003Dé ")
    assert settings.author_name("Ann") == "Cem Dé"
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", " \n")
    assert settings.author_name("A\0nn") == "A nn"
    monkeypatch.setenv("REPLICAN_AUTHOR_NAME", "\udcff")
    with pytest.raises(UsageError):
        settings.author_name()


@pytest.mark.parametrize("name", ["x" * 300, "a " * 150, "\t\v\fx\x85\u2028y", " \u3000é\u00a0 "])
def test_any_authors_name_fits_a_checkpoint(name: str) -> None:
    author = Author(settings.author_name(name), "0" * 16, 0)
    checkpoint = Checkpoint(EMPTY_TREE, (), author, "")
    assert parse_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("@12", 12_000_000_000),
        ("@-12.5", -12_500_000_000),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1970-01-02T00:00:00Z", 86_400_000_000_000),
        ("2026-11-20T14:00:00+02:00", 1_795_176_000_000_000_000),
        ("1969-12-31 23:59:59.5+00:00", -500_000_000),
    ],
)
def test_dates(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICAN_AUTHOR_DATE", text)
    assert settings.author_date_ns() == expected
    assert abs(expected) < TIME_LIMIT


def test_the_clock_is_meant_where_nothing_is_set() -> None:
    assert settings.author_date_ns() is None


def test_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (settings.pager(), settings.columns(), settings.show_traceback()) == (None, None, False)
    monkeypatch.setenv("PAGER", "less")
    assert settings.pager() == "less"
    monkeypatch.setenv("REPLICAN_PAGER", "more")
    assert settings.pager() == "more"
    for text, width in (("80", 80), ("0", None), ("x", None), ("-5", None)):
        monkeypatch.setenv("COLUMNS", text)
        assert settings.columns() == width


def test_programs_are_never_looked_for_where_we_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin::.:bin:/opt/bin")
    assert settings.program_directories() == ["/usr/bin", "/opt/bin"]
