"""How a watch stands after what happened."""

import pytest

from replican.decisions.standing import BEHIND, GATE, IN_STEP, LOST, STARTING, SYNCING, RemoteStanding, Standing
from replican.decisions.standing import parse_standing as parse
from replican.values import events
from replican.values.events import Counts

AT = 1_795_176_000_000_000_000
STARTED = events.Started(AT, b"/x", "0123456789abcdef", 7, "1.0.0", ("disk",))
SYNCING_AGAIN = events.Syncing(AT + 5, "disk")
CLOSED = events.Gate(AT + 1, "disk", False, ("mass-delete",), "40 files would be deleted", "do so")
FULL = events.Error(AT + 1, "disk", "no-space", "the disk is full", "make room")
AWAY = events.RemoteLost(AT + 1, "disk", "link", "no route", None, 2.0)
FOUND = events.RemoteFound(AT + 8, "disk", "/mnt/disk")


def synced(equal: bool = True, pending: int = 0) -> events.Synced:
    return events.Synced(AT + 9, "disk", None, equal, Counts(), Counts(), 0, pending, None, None, 0.5)


def standing(*told: events.Event) -> RemoteStanding:
    now = Standing()
    for event in (STARTED, *told):
        now = now.after(event)
    assert parse(now.as_json()) == now
    return dict(now.remotes)["disk"]


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ([], STARTING),
        ([SYNCING_AGAIN], SYNCING),
        ([SYNCING_AGAIN, FOUND, synced()], IN_STEP),
        ([FOUND, synced(equal=False, pending=2)], BEHIND),
        ([synced(), SYNCING_AGAIN], SYNCING),
        ([CLOSED], GATE),
        ([AWAY], LOST),
        ([FULL], LOST),
    ],
)
def test_states(told: list[events.Event], state: str) -> None:
    assert standing(*told).state == state


@pytest.mark.parametrize("event", [CLOSED, FULL, AWAY])
def test_what_is_in_the_way_is_told_until_a_sync_succeeds(event: events.Gate | events.Error) -> None:
    before = standing(FOUND, synced(), event)
    assert before.message == event.message
    assert before.hint == event.hint
    assert standing(FOUND, synced(), event, SYNCING_AGAIN, SYNCING_AGAIN) == before
    after = standing(FOUND, synced(), event, SYNCING_AGAIN, synced())
    assert (after.state, after.message, after.hint) == (IN_STEP, "", None)


def test_what_comes_later_counts_more() -> None:
    assert standing(CLOSED, AWAY).message == AWAY.message
    assert standing(AWAY, SYNCING_AGAIN, CLOSED).message == CLOSED.message
    assert standing(CLOSED, events.Gate(AT + 2, "disk", True, ("mass-delete",), "", None)).message == ""
