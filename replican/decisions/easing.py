"""Easing: whether a link takes what is sent faster than that can be compressed.

Then some of it goes as it is, since both ends are done sooner; elsewhere every byte that is spared counts. Nobody knows
what a link could take: so it is seen what it does take, and whether it takes more when more is sent. Where it does not,
everything is compressed again, and that is not tried twice. No clock is read here: whoever asks says what time it is.
"""

from typing import Final, NamedTuple

WINDOW: Final = 4 << 20
SECONDS: Final = 0.25
"""So many bytes have to go, and so long it has to take, before anything is concluded."""
QUICK: Final = 12 << 20
"""A link that takes less than so many bytes a second is not quick: that is a tenth of a gigabit."""
_WORTH: Final = 1.3
"""Text becomes 1.7 times as many bytes: a link that takes no more than so many times as many was the limit."""


class Ease(NamedTuple):
    """What has been seen of a link: ``sent`` bytes have gone since ``begun`` (in seconds), after so many ``windows``.
    ``before`` is what it took while all was compressed, in bytes a second; ``lighter`` is for how many windows more has
    been sent, and ``is_over`` tells that it did not take enough more."""

    begun: float
    sent: int = 0
    windows: int = 0
    before: float = 0.0
    lighter: int = 0
    is_over: bool = False

    @property
    def is_light(self) -> bool:
        """Whether some of what is sent is to go as it is."""
        return self.before > 0 and not self.is_over


def after(ease: Ease, count: int, now: float) -> Ease:
    """What has been seen when ``count`` more bytes have gone."""
    sent, took = ease.sent + count, now - ease.begun
    if ease.is_over or sent < WINDOW or took < SECONDS:
        return ease._replace(sent=sent)
    pace, windows = sent / took, ease.windows + 1
    if not ease.is_light:
        # The first goes into what is empty on the way.
        return Ease(now, windows=windows, before=pace if windows > 1 and pace >= QUICK else 0.0)
    # Much of the first that is lighter was ready before it was known.
    enough = {0: 0.0, 1: max(QUICK, ease.before * _WORTH)}.get(ease.lighter, QUICK)
    return Ease(now, windows=windows, before=ease.before, lighter=ease.lighter + 1, is_over=pace < enough)
