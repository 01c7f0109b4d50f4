"""What is held is told once: by the command that first meets it, with exit code 4. See docs/decisions/0013."""

import os

from replicas import Replicas
from weak import WeakFolder

from replican.repository import Repository
from replican.values.traits import Traits

FAT = Traits(
    folds_case=True, links=False, modes=False, step_ns=2_000_000_000, refused='\\:*?"<>|\t\x01', utf8=True,
    plain_ends=True,
)  # fmt: skip


def held(replicas: Replicas) -> dict[str, str]:
    return {each["path"]: each["cause"] for each in replicas.json("b", "status")["pending"]}


def test_what_is_held_is_told_once(replicas: Replicas, monkeypatch) -> None:
    """By exit code 4 and on stderr; from then on by ``status`` alone, else nobody heard of what else is pending."""
    WeakFolder(monkeypatch, replicas.base / "b", FAT)
    replicas.clone({"f": "1", "d/g": "2"})
    replicas.write("a/a:b", "x")
    assert "pending: a:b: name not possible" in replicas("b", "sync", code=4).err
    for words in (["sync"], ["pull"], ["merge", "origin"], ["commit"], ["push"]):
        ended = replicas("b", *words)
        assert "a:b" not in ended.err, words
    assert replicas("b", "sync").text.startswith("origin: nothing to do; 1 held as before; in step at ")
    assert [each["path"] for each in replicas.json("b", "sync")["pending"]] == ["a:b"]
    assert set(held(replicas)) == {"a:b"}
    assert replicas.json("b", "status")["clean"] is False
    # What comes to it is news, and the rest is not.
    replicas.write("a/d/c:d", "x")
    ended = replicas("b", "sync", code=4)
    assert "pending: d/c:d" in ended.err
    assert "a:b" not in ended.err
    assert "1 pending; 1 held as before" in ended.text
    replicas("b", "sync")
    # What is edited over there is held as before; what comes back is news again.
    replicas.write("a/a:b", "edited")
    replicas("b", "sync")
    os.unlink(replicas.base / "a/a:b")
    replicas("b", "sync")
    replicas.write("a/a:b", "again")
    replicas("b", "sync", code=4)
    replicas("b", "sync")
    # So it is for who pushes there.
    replicas("a", "remote", "add", "weak", "../b")
    replicas.write("a/e:f", "x")
    assert "weak: pending: e:f" in replicas("a", "sync", code=4).err
    assert replicas("a", "sync").err == ""


def test_what_was_held_before_is_that_of_one_use(replicas: Replicas, monkeypatch) -> None:
    """Who keeps a repository at hand for long, and closes it in between, is told once as well."""
    WeakFolder(monkeypatch, replicas.base / "b", FAT)
    replicas.clone({"f": "1"})
    with Repository(str(replicas.base / "b")) as repo:
        assert repo.held_before == set()
        repo.close()
        replicas.write("a/a:b", "x")
        replicas("b", "sync", code=4)
        assert {path for path, _ in repo.held_before} == {b"a:b"}


def test_what_is_pending_besides_is_told_each_time(replicas: Replicas, monkeypatch) -> None:
    WeakFolder(monkeypatch, replicas.base / "b", FAT)
    replicas.clone({"f": "1", "d/g": "2"})
    replicas.write("a/a:b", "x")
    replicas("b", "sync", code=4)
    replicas.write("a/lost", "soon nowhere")
    replicas("a", "commit")
    replicas("b", "fetch")
    os.unlink(replicas.base / "a/lost")
    for _ in range(2):
        ended = replicas("b", "merge", "origin", code=4)
        assert "pending: lost: no source" in ended.err
        assert "a:b" not in ended.err
