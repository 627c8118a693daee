"""Randomness without state. In: a seed, integer keys. Out: the same numbers for the same keys, in any order.

Because no draw depends on an earlier one, cutting a run into other slices changes nothing in it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gateway.model import Float64s, Int64s

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

Keys = Int64s | npt.NDArray[np.int32] | int


class Noise:
    """Counter-based noise: splitmix64 over (seed, keys)."""

    def __init__(self, seed: int) -> None:
        self._seed = np.array([seed & 0xFFFF_FFFF_FFFF_FFFF], dtype=np.uint64)

    def uniform(self, channel: int, *keys: Keys) -> Float64s:
        """float64[n] in [0, 1); ``channel`` keeps the uses of one key apart."""
        state = _mix(self._seed ^ _mix(np.array([channel], dtype=np.uint64) + _GOLDEN))
        for key in keys:
            state = _mix(state ^ (np.atleast_1d(np.asarray(key, dtype=np.int64)).view(np.uint64) + _GOLDEN))
        return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def between(self, low: float, high: float, channel: int, *keys: Keys) -> Float64s:
        return low + (high - low) * self.uniform(channel, *keys)

    def wander(self, channel: int, time_ns: Int64s, period_ns: int, *keys: Keys) -> Float64s:
        """float64[n] in [-1, 1): drawn every ``period_ns``, straight lines between."""
        knot, rest = np.divmod(time_ns, period_ns)
        here = self.uniform(channel, *keys, knot)
        there = self.uniform(channel, *keys, knot + 1)
        return 2.0 * (here + (there - here) * (rest / period_ns)) - 1.0


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))
