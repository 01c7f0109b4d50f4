"""Easing: only a link that takes more when more is sent is sent more."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from replican.decisions.easing import QUICK, SECONDS, WINDOW, Ease, after

TEXT = 1.7
"""How many times as many bytes there are, where some go as they are."""


def windows(link: float, ends: float, ratio: float = TEXT, count: int = 20) -> list[Ease]:
    """What is seen of a link that takes ``link`` bytes a second, from ends that compress to ``ends`` a second at most,
    window by window."""
    ease = Ease(100.0)
    seen: list[Ease] = []
    for _ in range(count):
        pace = min(link, ends * (ratio if ease.is_light else 1.0))
        seconds = max(SECONDS, WINDOW / pace) * 1.001
        ease = after(ease, int(pace * seconds) + 1, ease.begun + seconds)
        seen.append(ease)
    return seen


def light(seen: list[Ease]) -> list[bool]:
    return [ease.is_light for ease in seen]


def test_a_link_that_takes_all() -> None:
    assert light(windows(link=1 << 40, ends=2 * QUICK)) == [False] + [True] * 19


def test_a_slow_link_is_never_sent_more() -> None:
    assert not any(light(windows(link=QUICK * 0.9, ends=10 * QUICK)))


def test_a_quick_link_that_is_the_limit_is_sent_more_once() -> None:
    assert light(windows(link=2 * QUICK, ends=10 * QUICK)) == [False] + [True] * 2 + [False] * 17


def test_what_cannot_be_compressed_is_no_reason() -> None:
    assert light(windows(link=1 << 40, ends=2 * QUICK, ratio=1.0)) == [False] + [True] * 2 + [False] * 17


def test_a_link_that_becomes_slow() -> None:
    ease = windows(link=1 << 40, ends=2 * QUICK)[-1]
    assert after(ease, QUICK, ease.begun + 0.9).is_light
    assert not after(ease, QUICK, ease.begun + 1.1).is_light


def test_nothing_is_concluded_from_little() -> None:
    ease = windows(link=1 << 40, ends=2 * QUICK, count=1)[0]
    assert not after(ease, WINDOW - 1, ease.begun + SECONDS / 10).is_light
    assert not after(ease, WINDOW * 10, ease.begun + SECONDS / 10).is_light
    assert not after(ease, WINDOW - 1, ease.begun + SECONDS).is_light
    assert after(ease, WINDOW, ease.begun + SECONDS).is_light


@given(st.floats(1, 1 << 40), st.floats(1, 1 << 40), st.floats(1, 3))
def test_it_is_tried_once(link: float, ends: float, ratio: float) -> None:
    seen = light(windows(link, ends, ratio))
    assert sum(one and not other for one, other in pairwise(seen)) <= 1
    assert sum(other and not one for one, other in pairwise(seen)) <= 1
