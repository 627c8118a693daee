"""Memory given back to the system. In: nothing. Out: a smaller process, where the C library can do it.

Reading a large inventory leaves free memory behind that glibc would keep. Never decides when.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_SETTINGS: Final = {_MMAP_THRESHOLD: 4 << 20, _TRIM_THRESHOLD: 16 << 20, _ARENA_MAX: 4}
"""Larger blocks go back as soon as they are freed; glibc raises the first by itself, up to 32 MB."""


def settle() -> None:
    """Tell the C library to keep little of what is freed; before much was used."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in _SETTINGS.items():
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
