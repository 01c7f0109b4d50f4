"""Planted defects in what makes a directory one: see ``defects.py``."""

import pytest

from replican.decisions import reconcile
from replican.effects import swapping
from replican.operations import units
from replican.values.trees import DIRECTORY

Patch = pytest.MonkeyPatch


def units_are_descended_into(patch: Patch) -> None:
    """A unit is merged by its names, as any directory."""
    original = reconcile._versions
    patch.setattr(reconcile, "_units_of", lambda ours, yours: set())
    patch.setattr(reconcile, "_is_plain", lambda entry: entry.kind == DIRECTORY)
    patch.setattr(
        reconcile,
        "_versions",
        lambda group, units=(): original({n: e for n, e in group.items() if e.kind != DIRECTORY}),
    )


def units_are_not_looked_through(patch: Patch) -> None:
    """Neither before it is replaced nor after."""
    patch.setattr(swapping, "holds_just", lambda fd, name, row, held: swapping.look(name, fd, row) is not None)


def restless_units_are_recorded(patch: Patch) -> None:
    patch.setattr(units, "restless", lambda *_: [])


ON_THE_DISK = [  # with a seed that caught it
    ("of a unit only its directory is looked at", units_are_not_looked_through, 12),
    ("units are recorded while they change", restless_units_are_recorded, 103),
]
