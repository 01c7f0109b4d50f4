import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.values import events
from replican.values.events import Counts
from replican.values.ids import CheckpointId

AT = 1_795_176_000_250_999_999
HEAD = CheckpointId(bytes(range(32)))
NONE = Counts()

EACH: list[tuple[events.Event, str]] = [
    (
        events.Started(AT, b"/home/me/my docs", "0123456789abcdef", 7, "1.0.0", ("origin", "disk")),
        "started: /home/me/my docs with origin, disk",
    ),
    (events.Started(AT, b"/x", "0123456789abcdef", 7, "1.0.0", ()), "started: /x with no remote"),
    (events.Live(AT, 1, 1, 0, 0.0421), "live after 42 ms: 1 file in 1 directory"),
    (events.Live(AT, 2, 3, 4, 2.94), "live after 2.9 s: 2 files in 3 directories; 4 directories polled"),
    (events.Recorded(AT, HEAD, Counts(1, 2, 3, 4), "x\ny"), "recorded 0001020: 1 added, 4 changed, 3 moved, 2 deleted"),
    (events.Recorded(AT, HEAD, NONE, ""), "recorded 0001020: folders and attributes"),
    (events.Syncing(AT, "disk"), "disk: syncing"),
    (
        events.Synced(AT, "disk", HEAD, True, Counts(1), Counts(0, 2), 1, 3, 1200, 0, 0.5),
        "disk: came 1 added; went 2 deleted; 1 conflict; 3 pending; in step at 0001020"
        " (1.2 kB received, 0 bytes sent, 500 ms)",
    ),
    (events.Synced(AT, "disk", None, True, NONE, NONE, 0, 0, None, None, 61), "disk: in step at nothing (61 s)"),
    (events.Synced(AT, "disk", HEAD, False, NONE, NONE, 0, 0, None, None, 1), "disk: not in step yet (1.0 s)"),
    (
        events.Gate(AT, None, False, ("mass-delete",), "30 of 40 files would be deleted", "say --allow-mass-delete"),
        "gate closed: mass-delete: 30 of 40 files would be deleted (say --allow-mass-delete)",
    ),
    (
        events.Gate(AT, "d", True, ("no-room", "no-inodes"), "the disk has 5 bytes free", None),
        "d: gate open again: no-room, no-inodes",
    ),
    (events.Gate(AT, "d", True, (), "d is served read-only", None), "d: gate open again: d is served read-only"),
    (events.Gate(AT, "d", False, (), "d is served read-only", "x"), "d: gate closed: d is served read-only (x)"),
    (
        events.Conflict(AT, "disk", b"d/f", (b"d/f.conflict-1", b"d/\xff")),
        'disk: conflict: d/f: every version is kept, beside it as f.conflict-1, "\\377"',
    ),
    (events.RemoteLost(AT, "disk", "link", "cut", "plug it in", 4), "disk: lost (next try in 4.0 s): cut (plug it in)"),
    (events.RemoteLost(AT, "disk", "link", "cut", None, None), "disk: lost (not tried again): cut"),
    (events.RemoteFound(AT, "disk", "/mnt/disk"), "disk: found at /mnt/disk"),
    (events.Paused(AT, "asked"), "paused: asked"),
    (events.Resumed(AT, "asked"), "resumed: asked"),
    (
        events.Rescanned(AT, b"", "the queue overflowed", 1.5),
        "rescanned the whole folder in 1.5 s: the queue overflowed",
    ),
    (events.Rescanned(AT, b"a/b", "resumed", 0), "rescanned a/b in 0 ms: resumed"),
    (events.Reloaded(AT, ()), "config read again: no remote"),
    (events.Note(AT, None, "the folder is there again"), "the folder is there again"),
    (events.Note(AT, "disk", "not recorded: fifo"), "disk: not recorded: fifo"),
    (events.Error(AT, "disk", "folder", "x", None), "disk: error: x"),
    (events.Error(AT, None, "hook", "x", "y"), "error: x (y)"),
    (events.Stopped(AT, "SIGTERM"), "stopped: SIGTERM"),
]


@pytest.mark.parametrize(("event", "shown"), EACH, ids=lambda each: getattr(each, "kind", ""))
def test_each_is_a_line_for_people(event: events.Event, shown: str) -> None:
    assert event.line() == shown


def test_each_kind_is_among_them() -> None:
    assert {type(event) for event, _ in EACH} == set(events.Event.__subclasses__())


@pytest.mark.parametrize("event", [event for event, _ in EACH], ids=lambda event: event.kind)
def test_each_is_an_object_with_all_its_fields(event: events.Event) -> None:
    made = json.loads(json.dumps(event.as_json()))
    assert list(made)[:3] == ["kind", "time", "time_ns"]
    assert made["time"] == "2026-11-20T12:00:00.250Z"
    assert set(made) - {"kind", "time"} == set(event.__struct_fields__)
    assert pickle.loads(pickle.dumps(event)) == event
    assert hash(event) == hash(pickle.loads(pickle.dumps(event)))


def test_ids_counts_and_paths_in_json() -> None:
    synced = events.Synced(AT, "disk", HEAD, True, Counts(1), NONE, 0, 0, None, None, 1).as_json()
    assert synced["head"] == HEAD.hex()
    assert synced["came"] == {"added": 1, "deleted": 0, "moved": 0, "changed": 0}
    conflict = events.Conflict(AT, "disk", b"\xff", (b"a", b"\xfe")).as_json()
    assert (conflict["path"], conflict["path_b64"]) == ("\udcff", "/w==")
    assert conflict["copies"] == [{"copy": "a"}, {"copy": "\udcfe", "copy_b64": "/g=="}]
    assert events.Stopped(0, "x").as_json()["time"] == "1970-01-01T00:00:00.000Z"


def test_none_can_be_changed() -> None:
    event = events.Paused(AT, "asked")
    with pytest.raises(AttributeError):
        event.why = "else"  # type: ignore[misc]


@given(st.text(), st.text())
def test_what_a_peer_says_stays_on_one_line_and_moves_no_cursor(message: str, hint: str) -> None:
    for event in (events.Error(AT, "disk", "remote", message, hint), events.RemoteFound(AT, "disk", message)):
        line = event.line()
        assert len(line.splitlines()) == 1
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in line)
