"""Lets the tests of the torture harness import it, and the plant of the tests of the whole way."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "end_to_end")]
