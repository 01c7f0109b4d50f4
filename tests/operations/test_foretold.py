"""Merging what a remote is about to record: the same comes of it as of recording, fetching and merging in turn; and
where it turns out otherwise, nothing has happened here."""

import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from folders import contents, write
from pairs import FULL, Pair

from replican.effects.refs import remote_head
from replican.operations import foretold, syncing
from replican.operations.foretold import Foretold, merge_foretold
from replican.operations.recording import News, record
from replican.operations.remotes import Refreshed, Remote, opened_remote
from replican.operations.syncing import sync
from replican.repository import Repository
from replican.values.ids import EMPTY_TREE, TreeId, tree_id
from replican.values.trees import DIRECTORY, FILE, Entry, encode_tree, parse_tree

MANY = {f"d{number}/f": str(number) for number in range(250)}


def edit(root: Path) -> None:
    write(root / "a.txt", "longer than before")
    (root / "b.txt").unlink()
    os.rename(root / "d/deep", root / "e/deep")
    write(root / "new/inner/file", "new")
    (root / "e/four").chmod(0o600)


def foretell(pair: Pair) -> News:
    """What the remote would tell if it recorded now, which it does not."""
    told: list[News] = []

    class StopError(Exception):
        pass

    def tell(news: News) -> None:
        told.append(news)
        raise StopError

    with Repository(str(pair.a)) as there, pytest.raises(StopError):
        record(there, tell=tell)
    return told[0]


def go(pair: Pair, news: News, recorded: Callable[[Remote], None]) -> Foretold | None:
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:

        def wait() -> Refreshed:
            recorded(remote)
            return Refreshed([], [])

        return merge_foretold(repo, remote, news, wait)


def as_it_is(remote: Remote) -> None:
    remote.refresh()


def state(pair: Pair) -> object:
    with Repository(str(pair.b)) as repo:
        return contents(pair.b), repo.head, repo.index.base_root(), repo.index.journal(), repo.index.pending()


@pytest.mark.parametrize("files", [FULL, FULL | MANY], ids=["few", "many"])
def test_it_comes_to_the_same(tmp_path: Path, files: dict[str, str], monkeypatch) -> None:
    pair = Pair(tmp_path, files)
    shutil.copytree(tmp_path, tmp_path / "plain", symlinks=True)
    plain = Pair.__new__(Pair)
    plain.a, plain.b = tmp_path / "plain/a", tmp_path / "plain/b"
    with Repository(str(plain.b)) as repo:
        repo.config.set_remote("origin", repo.config.remote("origin")._replace(url=str(plain.a)))
    for root in (pair.a, plain.a):
        edit(root)
        if files is not FULL:
            for number in range(220):
                write(root / f"d{number}/f", f"changed {number}")
    came: list[Foretold | None] = []

    def seen(*args, **named) -> Foretold | None:
        came.append(merge_foretold(*args, **named))
        return came[-1]

    monkeypatch.setattr(syncing, "merge_foretold", seen)
    ahead = pair.sync()
    monkeypatch.setattr(syncing, "merge_foretold", lambda *args, **named: None)
    usual = plain.sync()
    assert [each is not None for each in came] == [True]
    assert ahead.pulled[0].tally == usual.pulled[0].tally
    assert ahead.pulled[0].outcome == usual.pulled[0].outcome
    assert ahead.equal
    assert usual.equal
    assert contents(pair.b) == contents(plain.b) == contents(pair.a)
    pair.assert_at_rest()


def test_the_far_side_records_first(tmp_path: Path) -> None:
    """Until it has, nothing here is changed but the stage."""
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    news = foretell(pair)
    before = state(pair)

    def recorded(remote: Remote) -> None:
        with Repository(str(pair.b)) as reader:
            assert (reader.head, reader.index.base_root()) == before[1:3]  # type: ignore[index]
        assert contents(pair.b) == before[0]  # type: ignore[index]
        remote.refresh()

    done = go(pair, news, recorded)
    assert done is not None
    assert done.fetched.new == done.merged.head
    pair.assert_at_rest()


def nothing_recorded(_: Remote) -> None:
    """Its disk is full, say."""


def something_else(remote: Remote) -> None:
    write(Path(remote.place) / "d/one", "changed in the meantime")
    remote.refresh()


def one_more(remote: Remote) -> None:
    remote.refresh()
    write(Path(remote.place) / "d/one", "changed right after")
    remote.refresh()


@pytest.mark.parametrize("recorded", [nothing_recorded, something_else, one_more])
def test_it_turns_out_otherwise(tmp_path: Path, recorded: Callable[[Remote], None]) -> None:
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    news = foretell(pair)
    before = state(pair)
    assert go(pair, news, recorded) is None
    assert state(pair) == before
    assert pair.sync().equal
    pair.assert_at_rest()


def test_an_edit_here_is_never_foretold_over(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    news = foretell(pair)
    write(pair.b / "a.txt", "mine")
    pair.record(pair.b)
    assert go(pair, news, as_it_is) is None
    assert (pair.b / "a.txt").read_text() == "mine"


def test_a_remote_that_was_not_merged_is_not_foretold(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    news = foretell(pair)
    with Repository(str(pair.b)) as repo, repo.writing("test"):
        repo.refs.delete(remote_head("origin"))
    assert go(pair, news, as_it_is) is None


def forge(news: News, change: Callable[[dict[TreeId, bytes]], TreeId]) -> News:
    payloads = dict(news.payloads)
    return News(news.before, change(payloads), payloads)


def wrong_hash(payloads: dict[TreeId, bytes]) -> TreeId:
    root = list(payloads)[-1]
    payloads[root] = payloads[root][:-1] + b"x"
    return root


def not_told(payloads: dict[TreeId, bytes]) -> TreeId:
    payload = encode_tree([Entry(b"d", DIRECTORY, 0o755, 0, 0, bytes(range(32)))])
    payloads[tree_id(payload)] = payload
    return tree_id(payload)


def forbidden(payloads: dict[TreeId, bytes]) -> TreeId:
    payload = encode_tree([Entry(b"..", FILE, 0o644, 1, 0, bytes(32))])
    payloads[tree_id(payload)] = payload
    return tree_id(payload)


def malformed(payloads: dict[TreeId, bytes]) -> TreeId:
    payloads[tree_id(b"junk")] = b"junk"
    return tree_id(b"junk")


@pytest.mark.parametrize("change", [wrong_hash, not_told, forbidden, malformed])
def test_what_is_told_is_not_believed(tmp_path: Path, change: Callable[[dict[TreeId, bytes]], TreeId]) -> None:
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    news = forge(foretell(pair), change)
    before = state(pair)
    waited: list[bool] = []
    assert go(pair, news, lambda remote: waited.append(True)) is None
    assert not waited
    assert state(pair) == before
    with Repository(str(pair.b)) as repo:
        assert repo.objects.lacking([news.after]), "nothing of it is stored"


def test_a_remote_that_cannot_record_says_so_once(tmp_path: Path) -> None:
    pair = Pair(tmp_path, FULL)
    edit(pair.a)
    objects = pair.a / ".replican/objects/loose"
    shutil.rmtree(objects)
    objects.write_bytes(b"in the way")
    with Repository(str(pair.b)) as repo, pytest.raises(Exception, match="origin"):
        sync(repo, "origin")
    objects.unlink()


def test_a_first_checkpoint_is_told_before_its_rows_are_written(tmp_path: Path) -> None:
    """Whoever is told then has the longest time for it; nothing is there yet to be read by anybody."""
    write(tmp_path / "a/d/file", "content")
    told: list[News] = []
    with Repository.init(str(tmp_path / "a")) as repo:

        def tell(news: News) -> None:
            assert not repo.index.has_observed()
            told.append(news)

        made = record(repo, tell=tell)
        assert made.new
        (news,) = told
        assert (news.before, news.after) == (EMPTY_TREE, repo.head_tree)
        assert all(repo.objects.read(tree) == (b"tree", payload) for tree, payload in news.payloads.items())


def test_what_was_told_is_stored_from_below(tmp_path: Path, monkeypatch) -> None:
    """Whoever has a tree has all of it, wherever storing was cut off."""
    pair = Pair(tmp_path, FULL)
    for number in range(12):
        write(pair.a / f"deep/er/{number}/x", "the same" if number % 2 else f"another {number}")
    news = foretell(pair)
    stored: list[bytes] = []
    monkeypatch.setattr(foretold, "_MANY", 0)
    monkeypatch.setattr(foretold, "beside", lambda work: work() or nullcontext())
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:
        monkeypatch.setattr(repo.objects, "add", stored.extend)
        assert merge_foretold(repo, remote, news, lambda: Refreshed([], [])) is None
        order = {tree: at for at, tree in enumerate(stored)}
        assert len(order) >= 10
        for tree in stored:
            for entry in parse_tree(news.payloads[TreeId(tree)]):
                if entry.kind == DIRECTORY and entry.id in order:
                    assert order[entry.id] < order[tree]
