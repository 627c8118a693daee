"""Where a rule applies. In: rules with scopes, the inventory. Out: for each rule the assets it applies to.

Of the rules of one type, field and condition the closest scope wins: asset, feeder, cabinet, the area and
those around it, the city, everywhere. Never looks at limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Bools, Rule
from gateway.watches import Watch

CITY: Final = "city"
EVERYWHERE: Final = ""


def applicable(rules: Sequence[Rule | Watch], fleet: Fleet) -> Bools:
    """bool[rules, assets]."""
    applies = np.ones((len(rules), len(fleet.assets)), dtype=np.bool_)
    for kind in {_kind(rule) for rule in rules if rule.scope != EVERYWHERE}:
        rows = [row for row, rule in enumerate(rules) if _kind(rule) == kind]
        known = frozenset(rules[row].scope for row in rows)
        closest = _closest(fleet, known)
        for row in rows:
            applies[row] = closest == rules[row].scope
    return applies


def _kind(rule: Rule | Watch) -> tuple[str, str, str]:
    return (rule.type, rule.field, rule.when) if isinstance(rule, Rule) else (rule.type, "", "")


def _closest(fleet: Fleet, known: frozenset[str]) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """For each asset the first of its scopes that is ``known``."""
    places = [fleet.asset_table.words(name) for name in ("feeder", "cabinet", "area")]
    codes, place = np.unique(np.stack([words.codes for words in places]), axis=1, return_inverse=True)
    found = []
    for at in codes.T.tolist():
        names = (words.words[code] for words, code in zip(places, at, strict=True))
        found.append(next((s for s in around(fleet, *names) if s in known), EVERYWHERE))
    own = {s: row for s in known if (row := fleet.asset_row.get(s.removeprefix("asset:"))) is not None}
    closest = np.array(found or [""], dtype=f"U{max(map(len, known | {EVERYWHERE}))}")[place.ravel()]
    for scope, row in own.items():
        if scope.startswith("asset:"):
            closest[row] = scope
    return closest


def around(fleet: Fleet, feeder: str, cabinet: str, area: str) -> Iterator[str]:
    """Scopes that hold a place, the closest first."""
    yield f"feeder:{feeder}"
    yield f"cabinet:{cabinet}"
    while area in fleet.area_by_code:
        yield f"area:{area}"
        area = fleet.area_by_code[area].parent
    yield CITY
    yield EVERYWHERE
