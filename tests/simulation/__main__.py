"""``python -m tests.simulation SEED [COUNT]``: play one seed, or COUNT from it on, and say what happened."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenario import play


def main(arguments: list[str]) -> int:
    first, count = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    failed = 0
    for seed in range(first, first + count):
        began = time.perf_counter()
        try:
            scenario = play(seed)
        except AssertionError as broken:
            failed += 1
            traceback.print_exception(broken)
        else:
            figures = f"{len(scenario.judge.sent)} sent, {len(scenario.plant.disk.records)} records"
            steps = f"{scenario.judge.looks} steps in {time.perf_counter() - began:.1f} s"
            print(f"seed {seed}: {', '.join(scenario.kinds)}: {figures}, {steps}: all promises held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
