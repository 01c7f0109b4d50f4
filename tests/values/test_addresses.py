"""Addresses on other machines, as git reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values.addresses import SshAddress, parse_ssh
from replican.values.errors import UsageError


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("host:docs", "host", None, "docs"),
        ("me@host:docs/a b", "me@host", None, "docs/a b"),
        ("host:/docs", "host", None, "/docs"),
        ("host:~/docs", "host", None, "~/docs"),
        ("host:a:b", "host", None, "a:b"),
        ("[::1]:docs", "::1", None, "docs"),
        ("me@h:docs", "me@h", None, "docs"),
        ("ssh://host/docs", "host", None, "/docs"),
        ("ssh://me@host:2222/docs/", "me@host", 2222, "/docs/"),
        ("ssh://host/~/docs", "host", None, "~/docs"),
        ("ssh://host/~me/docs", "host", None, "~me/docs"),
        ("ssh://[::1]:22/docs", "::1", 22, "/docs"),
        ("ssh://me@[fe80::1%25eth0]/d", "me@fe80::1%eth0", None, "/d"),
        ("ssh://host/a%20b%3A", "host", None, "/a b:"),
        ("ssh://host:/docs", "host", None, "/docs"),
    ],
)
def test_addresses(text: str, host: str, port: int | None, path: str) -> None:
    assert parse_ssh(text) == SshAddress(host, port, path)


@pytest.mark.parametrize("text", ["docs", "/docs", "./host:docs", "a/b:c", "https://host/docs", "host", "~/x:y"])
def test_what_is_none_of_another_machine(text: str) -> None:
    assert parse_ssh(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "host:",
        ":docs",
        "@host:docs",
        "me@:docs",
        "-oProxyCommand=x:docs",
        "me@-host:docs",
        "host:-docs",
        "ho st:docs",
        "ssh://",
        "ssh://host",
        "ssh://host/",
        "ssh:///docs",
        "ssh://-host/docs",
        "ssh://me@-host/docs",
        "ssh://%2Dhost/docs",
        "ssh://-me@host/docs",
        "ssh://%2Dme@host/docs",
        "ssh://host:0/docs",
        "ssh://host:65536/docs",
        "ssh://host:x/docs",
        "ssh://host/a%00b",
        "ssh://ho%0Ast/docs",
        "ssh://$(x)@host/docs",
        "a;b:docs",
        "ssh://a@b@host/docs",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        parse_ssh(text)


@given(st.text(alphabet="-@:/[]%~ .abc2\0\n", max_size=20), st.sampled_from(["", "ssh://"]))
def test_nothing_can_be_taken_for_an_option(text: str, scheme: str) -> None:
    try:
        address = parse_ssh(scheme + text)
    except UsageError:
        return
    if address is not None:
        assert address.host[0] != "-" != address.path[0]
        assert "@-" not in address.host
        assert not set(address.host) & set(" \n\0")
