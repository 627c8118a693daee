"""What a run comes to. In: the torture and its memory. Out: a verdict, as a table and as JSON."""

from __future__ import annotations

import os
import signal
import statistics
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faults import Torture
from judgement import (
    AlarmVerdict,
    Fates,
    look_at_alarms,
    look_at_quarantine,
    look_at_store,
    reference,
    silent,
)
from rich.console import Console
from rich.table import Table
from stage import Sample

from gateway.notify.courier import UNNOTED_MAX

EXAMPLES_MAX = 20
WARM_S = 10.0
LIFE_S_MIN = 25.0
RSS_GROWTH_BYTES_MAX = 32 << 20
FILES_GROWTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Case:
    """One fault; readings [first, end) were issued during it."""

    name: str
    first: int
    end: int
    seconds: float
    problem: str


@dataclass
class Verdict:
    """Counts of readings unless said otherwise; ``troubles`` says in words what does not hold."""

    seed: int
    seconds: float
    acked: int
    stored: int
    quarantined: int
    in_gaps: int
    twice_stored: int
    lost: list[int]
    wrong: dict[int, str]
    foreign: list[str]
    alarms: AlarmVerdict
    repeats_max: int
    unnamed_gaps: int
    kills: dict[str, int]
    cases: list[Case]
    absent: dict[str, str]
    growth: str
    troubles: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.troubles

    def document(self) -> dict[str, Any]:
        """The contract's torture object, and beside it what a reader of a failure wants."""
        rows: dict[str, dict[str, Any]] = {}
        for case in self.cases:
            row = rows.setdefault(case.name, {"name": case.name, "lost": 0, "wrong": 0, "seconds": 0.0})
            row["lost"] += sum(case.first <= number < case.end for number in self.lost)
            row["wrong"] += sum(case.first <= number < case.end for number in self.wrong)
            row["seconds"] = round(row["seconds"] + case.seconds, 1)
        return {
            "seed": self.seed,
            "acked": self.acked,
            "stored": self.stored,
            "quarantined": self.quarantined,
            "lost": len(self.lost),
            "wrong": len(self.wrong) + len(self.foreign),
            "duplicate_alarms": len(self.alarms.twice) + max(0, self.alarms.repeated - self.repeats_max),
            "unnamed_gaps": self.unnamed_gaps,
            "cases": list(rows.values()),
            "details": {
                "in_named_gaps": self.in_gaps,
                "stored_twice": self.twice_stored,
                "alarms": {
                    "due": self.alarms.due,
                    "missing": len(self.alarms.missing) + len(self.alarms.silent),
                    "extra": len(self.alarms.extra),
                    "repeated": self.alarms.repeated,
                },
                "kills": self.kills,
                "absent": self.absent,
                "growth": self.growth,
                "seconds": round(self.seconds, 1),
                "troubles": self.troubles,
            },
        }


def judge(run: Torture, cases: list[Case], oracle: Path, *, seed: int, seconds: float) -> Verdict:
    """Everything that was promised, against everything that is there."""
    stage, script = run.stage, run.stage.script
    kept = np.load(oracle)
    issued, acknowledged = kept["issued"], kept["acknowledged"]
    fates = Fates()
    look_at_store(stage.store, script, frozenset(issued.tolist()), fates)
    poison = [
        (int(number), script.message(int(number))) for number in issued if script.poisonous(int(number))
    ]
    due = {(message.topic, message.payload): (number, message) for number, message in poison}
    state = stage.gateway.data / "state.db"
    look_at_quarantine(state, due, fates)
    told = stage.ear.documents("ioc/events/")
    alarms = look_at_alarms(reference(stage.gateway.directory, stage.archive), state, told, "")
    alarms.silent = silent(script, issued, fates, told)
    gone = [
        (position, number)
        for position, number in enumerate(acknowledged.tolist())
        if not fates.stored[number] and number not in fates.quarantined
    ]
    lost = [number for position, number in gone if not _in_named_gap(run, position, number)]
    verdict = Verdict(
        seed=seed,
        seconds=seconds,
        acked=len(acknowledged),
        stored=len(fates.stored),
        quarantined=len(fates.quarantined),
        in_gaps=len(gone) - len(lost),
        twice_stored=sum(count > 1 for count in fates.stored.values()),
        lost=lost,
        wrong=fates.wrong,
        foreign=fates.foreign,
        alarms=alarms,
        repeats_max=run.repeats_max * UNNOTED_MAX,
        unnamed_gaps=sum(not one.named for one in (*run.at_risk, *run.damage)),
        kills=_kills(run),
        cases=cases,
        absent=run.absent,
        growth="",
    )
    _find_troubles(verdict, run)
    return verdict


def _in_named_gap(run: Torture, position: int, number: int) -> bool:
    if any(risk.named and risk.first <= position < risk.end for risk in run.at_risk):
        return True
    return any(one.named and number in one.found.numbers for one in run.damage)


def _kills(run: Torture) -> dict[str, int]:
    def dealt(*names: str) -> int:
        return sum(run.harm[name] for name in names)

    exits = run.stage.keeper.exits
    return {
        "gateway": exits[-signal.SIGKILL],
        "gateway_ended_by_itself": sum(n for code, n in exits.items() if code not in (0, -signal.SIGKILL)),
        "broker": dealt("broker killed", "broker and gateway killed"),
        "broker_restarted": dealt("broker restarted"),
        "store": dealt("store killed", "store killed, then the gateway"),
    }


def _find_troubles(verdict: Verdict, run: Torture) -> None:
    add = verdict.troubles.append
    if verdict.lost:
        add(f"{len(verdict.lost)} lost: {verdict.lost[:EXAMPLES_MAX]}")
    for number, words in list(verdict.wrong.items())[:EXAMPLES_MAX]:
        add(f"wrong {number}: {words}")
    for words in verdict.foreign[:EXAMPLES_MAX]:
        add(f"foreign: {words}")
    for what in ("missing", "extra", "twice", "silent"):
        if names := getattr(verdict.alarms, what):
            add(f"alarms {what}: {len(names)}: {names[:EXAMPLES_MAX]}")
    if verdict.alarms.repeated > verdict.repeats_max:
        add(f"{verdict.alarms.repeated} alarms told again, {verdict.repeats_max} are explained by kills")
    if verdict.unnamed_gaps:
        add(f"{verdict.unnamed_gaps} gaps nobody named")
    for case in verdict.cases:
        if case.problem:
            add(f"{case.name}: {case.problem[:3000]}")
    verdict.growth, flat = growth(run.stage.keeper.samples)
    if not flat:
        add(f"not flat: {verdict.growth}")


def growth(samples: list[Sample]) -> tuple[str, bool]:
    """The longest life of the gateway: from a warm start to its end. In words, and whether it is flat."""
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    longest = max(lives.values(), key=lambda life: life[-1].at_s - life[0].at_s, default=[])
    life = longest[bisect_right([s.at_s - longest[0].at_s for s in longest], WARM_S) :] if longest else []
    if not life or life[-1].at_s - life[0].at_s < LIFE_S_MIN - WARM_S:
        return "no life was long enough to tell", True
    third = max(1, len(life) // 3)
    rss = [statistics.median(s.rss_bytes for s in part) for part in (life[:third], life[-third:])]
    files = [statistics.median(s.files for s in part) for part in (life[:third], life[-third:])]
    words = (
        f"RSS {rss[0] / 1e6:.0f} to {rss[1] / 1e6:.0f} MB, files {files[0]:.0f} to {files[1]:.0f}"
        f" in {life[-1].at_s - life[0].at_s:.0f} s"
    )
    return words, rss[1] - rss[0] <= RSS_GROWTH_BYTES_MAX and files[1] - files[0] <= FILES_GROWTH_MAX


def show(verdict: Verdict) -> None:
    """The verdict as a table on the terminal."""
    console, document = Console(), verdict.document()
    table = Table(title=f"torture, seed {verdict.seed}, {verdict.seconds:.0f} s, {os.cpu_count()} cores")
    table.add_column("fault")
    for name in ("lost", "wrong", "seconds"):
        table.add_column(name, justify="right")
    for row in document["cases"]:
        table.add_row(row["name"], str(row["lost"]), str(row["wrong"]), str(row["seconds"]))
    console.print(table)
    details = document.pop("details")
    for name, value in {**document, **details}.items():
        if name not in ("seed", "cases", "seconds", "troubles"):
            console.print(f"[bold]{name}[/] {value}", highlight=False)
    for trouble in verdict.troubles:
        console.print(trouble, style="red", highlight=False, markup=False)
    console.print("holds" if verdict.holds else "DOES NOT HOLD", style="green" if verdict.holds else "red")
