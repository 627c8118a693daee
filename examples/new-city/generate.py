"""Writes this directory's CSV files anew. In: a seed. Out: the inventory of a made-up new city.

    python examples/new-city/generate.py [--light-points 1200] [--sensors 60] [--seed 2026] [--to DIR]

The committed files are its output with the defaults; a test holds the two together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from simulators.city import inventory


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the inventory of a made-up new city.")
    parser.add_argument("--light-points", type=int, default=1200)
    parser.add_argument("--sensors", type=int, default=60)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    for name, text in inventory(options.light_points, options.sensors, options.seed).items():
        (options.to / name).write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
