"""A memo of merged trees that is kept nowhere."""

from replican.decisions.frontier import Frontier
from replican.values.ids import TreeId


class Forgetful:
    """A memo for a while: a dict."""

    def __init__(self) -> None:
        self._known: dict[Frontier, TreeId] = {}

    def get(self, frontier: Frontier, /) -> TreeId | None:
        return self._known.get(frontier)

    def put(self, frontier: Frontier, tree: TreeId, /) -> None:
        self._known[frontier] = tree
