"""The targets as a picture. In: kept results. Out: docs/pictures/performance.svg, one row a target.

Each figure stands at its share of the limit, on a logarithmic scale: left of the line it is met. The newest
commit is filled, earlier ones are rings. Run as ``python -m benchmarks.plot``; draws only what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import suite, targets
from benchmarks.figures import ROOT, Report

PICTURE = ROOT / "docs" / "pictures" / "performance.svg"
LEFT, RIGHT, TOP, ROW = 400, 880, 50, 34
WIDTH = 1000
LOW, HIGH = 0.05, 20.0
MET, MISSED, LINE = "#2f855a", "#c05621", "#33506b"
Kept = tuple[str, dict[str, Report]]


def kept(directory: Path = suite.RESULTS) -> list[Kept]:
    """(commit, reports by name) of each file, oldest first."""
    found = [(file.stem, suite.read(file)) for file in directory.glob("*.json")]
    return sorted(found, key=lambda one: min(report["measured_at"] for report in one[1].values()))


def picture(results: Sequence[Kept]) -> str:
    """SVG; the same results give the same bytes."""
    judged = [(commit, targets.verdicts(reports)) for commit, reports in results]
    height = TOP + ROW * len(targets.TARGETS) + 46
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-size="14" '
        'font-family="Helvetica, Arial, sans-serif" aria-label="Measured figures as shares of their limits">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_x(1.0):.0f}" y="24" text-anchor="middle" fill="{LINE}">limit</text>',
    ]
    for share in (0.1, 1.0, 10.0):
        dash = "" if share == 1.0 else ' stroke-dasharray="3 5" stroke-opacity="0.5"'
        bottom, x = height - 40, _x(share)
        lines.append(f'<path d="M{x:.1f} {TOP - 16}V{bottom}" stroke="{LINE}"{dash}/>')
        lines.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" font-size="12" '
            f'fill="#4a5a68">{share:g} × limit</text>'
        )
    for row, target in enumerate(targets.TARGETS):
        lines += _row(TOP + ROW * row + 8, target, [verdicts[row] for _, verdicts in judged])
    commits = " → ".join(commit for commit, _ in results)
    lines.append(
        f'<text x="{WIDTH - 12}" y="{height - 6}" text-anchor="end" font-size="12" fill="#4a5a68">'
        f"commits {escape(commits)}; the last one filled</text>"
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _row(y: int, target: targets.Target, verdicts: Sequence[dict[str, Any]]) -> list[str]:
    text = f'<text x="{LEFT - 20}" y="{y + 5}" text-anchor="end" fill="#1c2b39">{escape(target.text)}</text>'
    lines = [text, f'<path d="M{LEFT} {y}H{RIGHT}" stroke="#d8e0e8"/>']
    measured = [verdict for verdict in verdicts if verdict["figure"] is not None]
    for verdict in measured:
        figure, limit = verdict["figure"], target.limit
        share = limit / max(figure, 1e-9) if target.at_least else figure / limit
        colour = MET if verdict["met"] else MISSED
        fill = colour if verdict is measured[-1] else "none"
        lines.append(f'<circle cx="{_x(share):.1f}" cy="{y}" r="6" fill="{fill}" stroke="{colour}"/>')
    said = f"{measured[-1]['figure']:,} {target.unit}".strip() if measured else "not measured"
    lines.append(f'<text x="{RIGHT + 14}" y="{y + 5}" fill="#1c2b39">{escape(said)}</text>')
    return lines


def _x(share: float) -> float:
    at = math.log(min(max(share, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + at * (RIGHT - LEFT)


if __name__ == "__main__":
    PICTURE.write_text(picture(kept()), encoding="utf-8")
