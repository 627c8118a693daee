"""``make torture``. In: seconds, a seed. Out: a table, ``build/torture.json``, 1 if anything is wrong.

Deals faults from a shuffled deck while readings flow, lets everything come to rest, and has it judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deck import AGAIN, BRIEF, DECK
from faults import Torture
from stage import Stage, stage
from verdict import Case, Verdict, judge, show

ROOT = Path(__file__).parents[2]
RATE = 450.0
STEADY_S_MIN, STEADY_SHARE = 6.0, 0.12
REST_SHARE = 0.12
REST_S_MAX = 180.0
PAUSE_S = 0.5


def torture(
    directory: Path, *, seconds: float, seed: int, names: list[str] | None = None, rate: float = RATE
) -> Verdict:
    """One run: a whole pass over the deck, then random cards until the time is over."""
    chance = random.Random(seed)
    began = time.monotonic()
    with stage(directory, rate=rate, seconds=seconds) as theatre:
        run = Torture(theatre, chance)
        theatre.oracle.order("go")
        cases: list[Case] = []
        until = began + seconds * (1 - REST_SHARE - STEADY_SHARE)
        for name in dealt(chance, names or [*DECK, *AGAIN], again=names is None):
            if time.monotonic() > until and name is None:
                break
            if name is not None:
                cases.append(play(run, name))
        cases.append(steady(run, max(STEADY_S_MIN, seconds * STEADY_SHARE)))
        acknowledged = rest(run)
        verdict = judge(run, cases, acknowledged, seed=seed, seconds=time.monotonic() - began)
        if not verdict.holds:  # the small disk goes with the stage; ``--keep`` wants to look into it
            shutil.copytree(theatre.disk.directory, directory / "kept", ignore=ignore_sockets)
        return verdict


def ignore_sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket()]


def dealt(chance: random.Random, names: list[str], *, again: bool) -> Any:
    """The deck once, whatever it takes; then, with a None before each card, for as long as there is time."""
    deck = list(names)
    chance.shuffle(deck)
    yield from deck
    while again:
        yield None
        yield chance.choice(deck)
    yield None


def play(run: Torture, name: str) -> Case:
    """One fault, and what was issued meanwhile."""
    began = time.monotonic()
    first = run.stage.oracle.order("mark")["number"]
    problem = ""
    try:
        DECK[name](run)
    except AssertionError as failure:
        problem = str(failure)
        if run.stage.keeper.stopped:
            run.stage.keeper.begin()
    run.harm[name] += 1
    time.sleep(PAUSE_S)
    end = run.stage.oracle.order("mark")["number"]
    case = Case(name, first, end, time.monotonic() - began, problem)
    print(
        f"{time.strftime('%H:%M:%S')} {name}: {case.seconds:.1f} s {problem[:2000]}",
        file=sys.stderr,
        flush=True,
    )
    return case


def steady(run: Torture, seconds: float) -> Case:
    """Load and nothing else, in one life of the gateway: what it takes must not grow."""
    began = time.monotonic()
    run.stage.until_online()
    first = run.stage.oracle.order("mark")["number"]
    time.sleep(seconds)
    end = run.stage.oracle.order("mark")["number"]
    return Case("steady load", first, end, time.monotonic() - began, "")


def rest(run: Torture) -> Path:
    """Nothing new, no fault: everything comes to its end. The oracle's record of it."""
    theatre: Stage = run.stage
    theatre.oracle.quiet()
    theatre.until_drained(REST_S_MAX)
    code = theatre.keeper.stop_gateway()
    assert code == 0, f"the last orderly stop ended with {code}"
    theatre.keeper.link()
    file = theatre.directory / "oracle.npz"
    theatre.oracle.order("finish", file)
    return file


def duration_s(text: str) -> float:
    """``90``, ``10m``, ``1h``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration like 90s, 10m or 1h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kills, freezes and spoils everything, and counts what is lost."
    )
    parser.add_argument("--duration", type=duration_s, default=540.0, metavar="10m")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--rate", type=float, default=RATE, help="readings per second")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "torture.json")
    parser.add_argument(
        "--only", action="append", metavar="FAULT", help="this fault instead of the deck; may repeat"
    )
    parser.add_argument("--brief", action="store_true", help="the few faults of the test suite")
    parser.add_argument("--keep", action="store_true", help="leave all files for a look")
    options = parser.parse_args()
    unknown = set(options.only or []) - set(DECK)
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(DECK)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    names = list(BRIEF) if options.brief else options.only
    directory = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        verdict = torture(
            directory, seconds=options.duration, seed=options.seed, names=names, rate=options.rate
        )
    finally:
        if not options.keep:
            with contextlib.suppress(OSError):
                shutil.rmtree(directory)
    show(verdict)
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(
        json.dumps(verdict.document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
