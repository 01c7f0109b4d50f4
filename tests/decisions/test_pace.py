"""Pace: rounds of the poller, the quiet period, and back-off, each as what happens at given times."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replican.decisions.pace import (
    DELETED,
    FIRST,
    FREE,
    LONGEST,
    MOST_SHARE,
    SPREAD,
    Bounds,
    Polling,
    Quiet,
    Round,
    jittered,
    retry_after,
)

MIDDLE = 0.5
SMALL = 1e-6
chances = st.floats(0, 1, exclude_max=True)
BOUNDS = Bounds(2, 60, 900)


# -- polling ----------------------------------------------------------------------------------------------------------


def poll(polling: Polling, found: list[int], cost: float = 0.0, chance: float = MIDDLE) -> list[tuple[float, bool]]:
    """The rounds that are done where each finds so many paths: when, and whether a full one."""
    rounds = []
    for count in found:
        at, full = polling.next
        rounds.append((at, full))
        polling = polling.after(Round(at, full), at, at + cost, count, chance)
    return rounds


def test_the_first_round_is_a_full_one_and_due_at_once() -> None:
    assert Polling.begin(BOUNDS, 7.0).next == Round(7.0, True)


def test_a_quiet_folder_is_polled_less_and_less() -> None:
    rounds = poll(Polling.begin(BOUNDS, 0), [0] * 14)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(rounds)]
    assert gaps[:3] == pytest.approx([3, 4.5, 6.75])
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(60)


def test_a_busy_one_is_soon_polled_as_often_as_may_be() -> None:
    resting = Polling(BOUNDS, 60, 100, 900)
    rounds = poll(resting, [5, 5, 5, 5])
    assert [at for at, _ in rounds] == pytest.approx([100, 115, 118.75, 120.75])


def test_full_rounds_come_at_their_own_period_and_put_the_quick_ones_off() -> None:
    rounds = poll(Polling.begin(BOUNDS, 0), [0] * 60)
    full = [at for at, full in rounds if full]
    assert full[:3] == pytest.approx([0, 900, 1800])
    at = rounds.index((full[1], True))
    assert rounds[at + 1][0] - rounds[at][0] == pytest.approx(60)


def test_a_costly_round_is_done_less_often_than_the_bounds_allow() -> None:
    assert poll(Polling(BOUNDS, 2, 0, 900), [1, 1], cost=0.1)[1][0] == pytest.approx(0.1 + 20)
    assert poll(Polling(BOUNDS, 2, 0, 900), [1, 1], cost=1)[1][0] == pytest.approx(1 + 60)
    assert poll(Polling(BOUNDS, 2, 0, 9000), [1, 1], cost=30)[1][0] == pytest.approx(30 + 300)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100), chances), min_size=1, max_size=50))
def test_polling_keeps_to_its_bounds_whatever_is_found(history: list[tuple[int, float, float]]) -> None:
    polling, now = Polling.begin(BOUNDS, 0), 0.0
    for found, cost, chance in history:
        due = polling.next
        assert due.at >= now
        began, now = due.at, due.at + cost
        polling = polling.after(due, began, now, found, chance)
        wait = polling.next.at - now
        assert BOUNDS.least <= polling.period <= BOUNDS.most
        if not due.full:
            assert wait <= max(BOUNDS.most, cost / MOST_SHARE) * (1 + SPREAD) + SMALL
            assert polling.quick_at - now >= max(BOUNDS.least, cost / MOST_SHARE) * (1 - SPREAD) - SMALL


@pytest.mark.parametrize("bounds", [Bounds(5, 2, 1), Bounds(1, 1, 1)])
def test_bounds_that_contradict_each_other_end_in_the_longer_period(bounds: Bounds) -> None:
    polling = Polling.begin(bounds, 0)
    for _ in range(5):
        polling = polling.after(Round(0, False), 0, 0, 0, MIDDLE)
        assert polling.period == bounds.least


@given(st.floats(0.001, 1e6), chances)
def test_jitter_is_small(period: float, chance: float) -> None:
    assert abs(jittered(period, chance) - period) <= period * SPREAD * 1.001


# -- recording --------------------------------------------------------------------------------------------------------


def record(quiet: Quiet, at: float, until: float, *changes: float) -> Quiet:
    """Record from ``at`` to ``until``, with changes at those times meanwhile."""
    quiet = quiet.begin(at)
    for change in changes:
        quiet = quiet.changed(change)
    return quiet.end()


def test_nothing_is_recorded_without_a_change() -> None:
    assert Quiet().due is None
    assert record(Quiet().changed(1), 1, 1.1).due is None


def test_a_lone_change_is_recorded_at_once() -> None:
    assert Quiet().changed(5.0).due == 5.0


def test_edits_one_by_one_are_each_recorded_at_once() -> None:
    quiet = Quiet()
    for edit in range(FREE):
        now = edit * 0.2
        quiet = quiet.changed(now)
        assert quiet.due == now
        quiet = record(quiet, now, now + 0.05)


def test_what_comes_meanwhile_waits_for_rest_longer_each_time() -> None:
    quiet, now, waits = Quiet().changed(0), 0.0, []
    for _ in range(7):
        quiet = record(quiet, now, now + 0.1, now + 0.05)
        due = quiet.due
        assert due is not None
        waits.append(due - (now + 0.05))
        now = due
    assert waits == pytest.approx([FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, 32 * FIRST, LONGEST])
    assert record(quiet, now, now + 0.1).changed(now + 1).due == now + 1, "then came a rest"


def test_rest_means_that_nothing_has_changed_for_the_period() -> None:
    quiet = record(Quiet().changed(0), 0, 0.1, 0.05)
    for now in (0.1, 0.15, 0.2):
        quiet = quiet.changed(now)
        assert quiet.due == now + FIRST


def test_nothing_waits_longer_than_the_longest() -> None:
    quiet = record(Quiet().changed(0), 0, 0.1, 0.05)
    for step in range(1, 100):
        quiet = quiet.changed(0.05 + step * 0.05)
    assert quiet.due == 0.05 + LONGEST


def test_change_without_end_comes_to_one_checkpoint_in_two_seconds() -> None:
    """A line every 0.3 s, for an hour: none of them while another is being recorded."""
    quiet, now, times = Quiet(), 0.0, []
    while now < 3600:
        quiet = quiet.changed(now)
        due = quiet.due
        assert due is not None
        if due <= now + 0.3:
            times.append(due)
            quiet = record(quiet, due, due + 0.01)
        now += 0.3
    assert len(times) < 3600 / 1.4
    late = [b - a for a, b in pairwise(times)][-100:]
    assert 1.4 < sum(late) / len(late) < 2.5


def test_deletions_wait_for_more_of_them() -> None:
    quiet = Quiet().changed(1.0, deleted=True)
    assert quiet.due == 1.0 + DELETED
    quiet = quiet.changed(1.3, deleted=True)
    assert quiet.due == 1.3 + DELETED
    assert quiet.changed(1.4).due == 1.3 + DELETED
    for step in range(20):
        quiet = quiet.changed(1.4 + step * 0.2, deleted=True)
    assert quiet.due == 1.0 + LONGEST


def test_what_makes_no_checkpoint_does_not_count() -> None:
    """A merge writes, and what it wrote is looked at: nobody is to wait for that later."""
    quiet = Quiet()
    for merge in range(3 * FREE):
        quiet = quiet.changed(merge / 10).begin(merge / 10).end(made=False)
    assert quiet.changed(100.0).due == 100.0


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.sampled_from(["change", "begin", "end"])), max_size=80))
def test_due_is_never_before_the_change_nor_much_after_it(steps: list[tuple[float, bool, str]]) -> None:
    quiet, now = Quiet(), 0.0
    for wait, deleted, what in steps:
        now += wait
        if what == "change":
            quiet = quiet.changed(now, deleted=deleted)
        elif what == "begin" and quiet.due is not None:
            quiet = quiet.begin(now)
            assert quiet.due is None
        elif what == "end":
            quiet = quiet.end()
        if quiet.due is not None:
            assert quiet.first is not None
            assert quiet.first <= quiet.due <= quiet.first + LONGEST
        assert 0 <= quiet.period <= LONGEST


# -- remotes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "chance", "expected"),
    [(1, 0.0, 0.5), (1, 0.5, 0.75), (2, 0.0, 1.0), (3, 0.5, 3.0), (9, 0.0, 128.0), (10, 0.0, 150.0), (99999, 0.0, 150)],
)
def test_retries(failures: int, chance: float, expected: float) -> None:
    assert retry_after(failures, chance) == pytest.approx(expected)


@given(st.integers(1, 10**9), chances, st.floats(0.01, 10), st.floats(10, 1000))
def test_retries_keep_to_their_bounds(failures: int, chance: float, first: float, most: float) -> None:
    assert first / 2 <= retry_after(failures, chance, first, most) <= most
    assert retry_after(failures, 0, first, most) <= retry_after(failures + 1, 0, first, most)
