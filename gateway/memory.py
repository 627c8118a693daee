"""Memory given back to the system. In: nothing. Out: a smaller process, where the C library can do it.

Reading a large inventory leaves free memory behind that glibc would keep. Never decides when.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Mapping
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_BUILDING: Final = {_MMAP_THRESHOLD: 512 << 10, _TRIM_THRESHOLD: 2 << 20, _ARENA_MAX: 2}
_RUNNING: Final = {_MMAP_THRESHOLD: 4 << 20, _TRIM_THRESHOLD: 16 << 20}
"""Blocks above the first go to the system as soon as they are freed; glibc raises it by itself to 32 MB."""


def build() -> None:
    """What stays for good is to be built: keep its arrays out of the heap, which they would tear apart."""
    _tell(_BUILDING)


def run() -> None:
    """All of that is there: return what building took.

    From here on blocks of messages stay in the heap: new pages for each cost a quarter more CPU a message.
    """
    give_back()
    _tell(_RUNNING)


def _tell(settings: Mapping[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in settings.items():
            mallopt(name, value)


def give_back() -> None:
    """Collect what is not used, and trim."""
    gc.collect()
    trim()


def trim() -> None:
    """Return what is free; nothing is returned where there is no glibc."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
