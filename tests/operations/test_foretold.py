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

from replican.effects.groundwork import know_listing
from replican.effects.refs import remote_head
from replican.operations import foretold, syncing, telling
from replican.operations.cloning import clone
from replican.operations.folders import FolderRemote
from replican.operations.foretold import Foretold, merge_foretold
from replican.operations.recording import record
from replican.operations.remotes import Remote, opened_remote
from replican.operations.syncing import sync
from replican.operations.telling import Glimpses, Made, News, Told
from replican.repository import Repository
from replican.values.ids import EMPTY_TREE, TreeId, tree_id
from replican.values.trees import DIRECTORY, FILE, Entry, TreeOverlay, encode_tree, parse_tree

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

    def tell(news: Told) -> None:
        assert isinstance(news, News)
        told.append(news)
        raise StopError

    with Repository(str(pair.a)) as there, pytest.raises(StopError):
        record(there, tell=tell)
    return told[0]


def go(pair: Pair, news: News, recorded: Callable[[Remote], None]) -> Foretold | None:
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:

        def wait() -> None:
            recorded(remote)

        return merge_foretold(repo, remote, news, wait)


def as_it_is(remote: Remote) -> None:
    remote.refresh()


def state(pair: Pair) -> object:
    with Repository(str(pair.b)) as repo:
        return contents(pair.b), repo.head, repo.index.base_root(), repo.index.journal(), repo.index.pending()


@pytest.mark.parametrize("at_once", [1, 50], ids=["in pieces", "at once"])
@pytest.mark.parametrize("files", [FULL, FULL | MANY], ids=["few", "many"])
def test_it_comes_to_the_same(tmp_path: Path, files: dict[str, str], at_once: int, monkeypatch) -> None:
    monkeypatch.setattr(telling, "_AT_ONCE", at_once)
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
    told: list[Told] = []
    with Repository.init(str(tmp_path / "a")) as repo:

        def tell(each: Told) -> None:
            assert not repo.index.has_observed() or isinstance(each, Made)
            told.append(each)

        made = record(repo, tell=tell)
        assert made.new
        news, then = told
        assert isinstance(news, News)
        assert then == Made(repo.head)
        assert (news.before, news.after) == (EMPTY_TREE, repo.head_tree)
        assert all(repo.objects.read(tree) == (b"tree", payload) for tree, payload in news.payloads.items())


def test_what_is_told_on_the_way_comes_before_all_of_it(tmp_path: Path, monkeypatch) -> None:
    """And the head's move before the index is told."""
    pair = Pair(tmp_path, FULL | MANY)
    for number in range(5):
        write(pair.a / f"d{number}/f", f"edited {number}")
    told: list[Told] = []
    monkeypatch.setattr(telling, "_AT_ONCE", 2)
    with Repository(str(pair.a)) as repo:
        before = repo.head

        def tell(each: Told) -> None:
            told.append(each)
            assert (repo.head == before) is not isinstance(each, Made)
            assert repo.index.base_root() == told_before

        told_before = repo.index.base_root()
        record(repo, tell=tell)
        assert repo.index.base_root() == repo.head_tree != told_before
    assert [type(each) for each in told] == [Glimpses, Glimpses, Glimpses, News, Made]
    seen = [each for some in told[:3] for each in some.directories]  # type: ignore[union-attr]
    assert {each.path for each in seen} == {b"d%d" % number for number in range(5)}
    news = told[3]
    assert isinstance(news, News)
    assert all(news.payloads[tree_id(each.payload)] == each.payload for each in seen)


@pytest.mark.parametrize("lied", [False, True], ids=["told as it is", "told what is not"])
def test_a_first_clone_hears_of_directories_on_the_way(tmp_path: Path, lied: bool, monkeypatch) -> None:
    """Their listings are known before all of it is told; what nothing names comes to nothing."""
    for name, text in (FULL | MANY).items():
        write(tmp_path / "source" / name, text)
    monkeypatch.setattr(telling, "_AT_ONCE", 1)
    parsed: list[bytes] = []

    def know(trees: TreeOverlay, payload: bytes) -> object:
        parsed.append(payload)
        assert tree_id(payload) not in trees.new
        return know_listing(trees, encode_tree([]) if lied else payload)

    monkeypatch.setattr(foretold, "know_listing", know)
    done = clone(str(tmp_path / "source"), str(tmp_path / "copy"))
    assert (done.made_replica, done.merged.tally.added) == (True, len(FULL | MANY))
    assert len(parsed) > len(MANY)
    assert contents(tmp_path / "copy") == contents(tmp_path / "source")
    with Repository(str(tmp_path / "source")) as source, Repository(str(tmp_path / "copy")) as copy:
        assert source.head == copy.head
        assert source.index.base_root() == copy.index.base_root() == copy.head_tree


def test_so_much_is_told_ahead_and_no_more(tmp_path: Path, monkeypatch) -> None:
    pair = Pair(tmp_path, FULL | MANY)
    for number in range(5):
        write(pair.a / f"d{number}/f", f"edited {number}")
    told: list[Told] = []
    monkeypatch.setattr(telling, "_AT_ONCE", 1)
    monkeypatch.setattr(telling, "_MOST_BYTES", 200)
    with Repository(str(pair.a)) as repo:
        record(repo, tell=told.append)
    assert 0 < sum(isinstance(each, Glimpses) for each in told) < 5
    assert isinstance(told[-2], News)


def test_what_was_told_and_comes_to_nothing_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    """The far side is killed, say, after it has told of some directories."""
    pair = Pair(tmp_path, FULL)
    write(pair.a / "d/deep/three", "edited")
    write(pair.a / "nothing/new", "new")
    monkeypatch.setattr(telling, "_AT_ONCE", 1)
    told: list[Told] = []
    shutil.copytree(pair.a, tmp_path / "as it was", symlinks=True)
    with Repository(str(pair.a)) as repo:
        record(repo, tell=told.append)
    assert isinstance(told[0], Glimpses)
    before = state(pair)
    rest = iter([told[1], None])
    with Repository(str(pair.b)) as repo, opened_remote(repo, "origin") as remote:
        assert merge_foretold(repo, remote, told[0], lambda: next(rest)) is None
    assert state(pair) == before
    assert os.listdir(pair.b / ".replican/stage") == []
    pair.sync()
    pair.assert_at_rest()


def test_a_remote_in_step_is_not_locked_once_more(tmp_path: Path, monkeypatch) -> None:
    """It has told that nothing is pending there; where something is, it is tried again."""
    pair = Pair(tmp_path, FULL)
    pushed: list[str] = []
    plain = FolderRemote.push
    monkeypatch.setattr(FolderRemote, "push", lambda self, *args: pushed.append(self.name) or plain(self, *args))
    edit(pair.a)
    assert pair.sync().equal
    assert pair.sync().equal
    assert pushed == []
    write(pair.b / "a.txt", "edited here")
    (pair.a / "d").chmod(0o500)
    write(pair.b / "d/one", "edited here, too")
    assert pair.sync().equal
    assert pushed == ["origin"]
    if os.geteuid() == 0:
        return  # nothing is pending for whoever may do all
    (pair.a / "d").chmod(0o700)
    assert pair.sync().pushed[0].pending == []
    assert pushed == ["origin", "origin"]
    pair.assert_at_rest()


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
        assert merge_foretold(repo, remote, news, lambda: None) is None
        order = {tree: at for at, tree in enumerate(stored)}
        assert len(order) >= 10
        for tree in stored:
            for entry in parse_tree(news.payloads[TreeId(tree)]):
                if entry.kind == DIRECTORY and entry.id in order:
                    assert order[entry.id] < order[tree]
