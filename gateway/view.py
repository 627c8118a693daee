"""The live terminal view. In: figures and the newest alarms. Out: a rich table, or plain lines.

Vietnamese or English; device-supplied text is shown as text, never as markup. Never asks the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.metrics import Figures

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "CityLight gateway",
        "lamps": "Lamps",
        "lit": "lit",
        "dark": "dark",
        "unverified": "unverified",
        "not_supplied": "not supplied by schedule",
        "off": "off",
        "messages": "Messages",
        "per_s": "per second",
        "received": "received",
        "stored": "stored",
        "quarantined": "quarantined",
        "pending": "pending",
        "followers": "Behind the journal",
        "records": "records",
        "broker": "Broker",
        "store": "Store",
        "connected": "connected",
        "away": "away",
        "ready": "ready",
        "alarms": "Newest alarms",
        "none": "none",
        "time": "Time",
        "severity": "Severity",
        "state": "State",
        "what": "What",
        "critical": "critical",
        "major": "major",
        "minor": "minor",
        "info": "info",
        "unacknowledged": "new",
        "acknowledged": "acknowledged",
        "returned": "over, not acknowledged",
        "normal": "over",
        "shelved": "shelved",
        "suppressed": "suppressed",
    },
    "vi": {
        "title": "Cổng CityLight",
        "lamps": "Đèn",
        "lit": "sáng",
        "dark": "tắt bất thường",
        "unverified": "chưa xác minh",
        "not_supplied": "chưa cấp điện theo lịch",
        "off": "tắt theo lịch",
        "messages": "Bản tin",
        "per_s": "mỗi giây",
        "received": "đã nhận",
        "stored": "đã lưu",
        "quarantined": "cách ly",
        "pending": "đang chờ",
        "followers": "Chậm so với nhật ký",
        "records": "bản ghi",
        "broker": "Máy chủ MQTT",
        "store": "Kho dữ liệu",
        "connected": "đã kết nối",
        "away": "mất kết nối",
        "ready": "sẵn sàng",
        "alarms": "Cảnh báo mới nhất",
        "none": "không có",
        "time": "Giờ",
        "severity": "Mức",
        "state": "Trạng thái",
        "what": "Nội dung",
        "critical": "nghiêm trọng",
        "major": "cao",
        "minor": "thấp",
        "info": "thông tin",
        "unacknowledged": "mới",
        "acknowledged": "đã nhận biết",
        "returned": "đã hết, chưa nhận biết",
        "normal": "đã hết",
        "shelved": "tạm gác",
        "suppressed": "bị chặn",
    },
}

COLOURS = {"critical": "bold red", "major": "red", "minor": "yellow", "info": "cyan"}
LAMP_COLOURS = {"lit": "yellow", "dark": "red", "unverified": "magenta", "not_supplied": "blue", "off": "dim"}
ALARMS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Scene:
    """What one frame shows. ``alarms`` are contract documents, newest first."""

    figures: Figures
    alarms: Sequence[Mapping[str, Any]]
    messages_per_s: float
    notes: Sequence[str] = ()


class TerminalView:
    """Renders scenes in one language and time zone."""

    def __init__(self, language: str, time_zone: str) -> None:
        self._language = language
        self._words = WORDS[language]
        self._zone = ZoneInfo(time_zone)

    def render(self, scene: Scene) -> RenderableType:
        """A frame for a terminal."""
        words, figures = self._words, scene.figures
        title = f"{words['title']} · {figures.gateway} · {self._clock(figures.wall_ns, '%d/%m/%Y %H:%M:%S')}"
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="bold", no_wrap=True)
        facts.add_column()
        facts.add_row(words["lamps"], self._lamps(figures))
        facts.add_row(words["messages"], self._messages(scene))
        facts.add_row(words["followers"], self._followers(figures))
        facts.add_row(words["broker"], self._state(figures.broker))
        facts.add_row(words["store"], self._state(figures.store))
        for note in scene.notes:
            facts.add_row("", Text(note, style="dim"))
        return Panel(Group(facts, Text(), self._alarms(scene.alarms)), title=Text(title), title_align="left")

    def line(self, scene: Scene) -> str:
        """The same in one plain line."""
        words, figures = self._words, scene.figures
        lamps = ", ".join(f"{words[name]} {count}" for name, count in figures.lamps.items())
        fates = ", ".join(f"{words[fate]} {figures.messages.get(fate, 0)}" for fate in ("stored", "pending"))
        newest = self._text(scene.alarms[0]) if scene.alarms else words["none"]
        return (
            f"{self._clock(figures.wall_ns, '%H:%M:%S')} | {words['lamps']}: {lamps} | {words['messages']}: "
            f"{scene.messages_per_s:.0f} {words['per_s']}, {fates} | {words['alarms']}: {newest}"
        )

    def _lamps(self, figures: Figures) -> Text:
        text = Text()
        for name, count in figures.lamps.items():
            text.append(f"{count} ", style=LAMP_COLOURS[name])
            text.append(f"{self._words[name]}   ")
        return text

    def _messages(self, scene: Scene) -> Text:
        words, messages = self._words, scene.figures.messages
        fates = "   ".join(
            f"{messages.get(fate, 0)} {words[fate]}"
            for fate in ("received", "stored", "quarantined", "pending")
        )
        return Text(f"{scene.messages_per_s:.0f} {words['per_s']}   {fates}")

    def _followers(self, figures: Figures) -> Text:
        records = self._words["records"]
        return Text("   ".join(f"{n}: {f.lag_records} {records}" for n, f in figures.followers.items()))

    def _state(self, facts: Mapping[str, Any]) -> Text:
        connected = bool(facts.get("connected"))
        text = Text(self._words["connected" if connected else "away"], style="green" if connected else "red")
        for detail in (facts.get("where"), facts.get("error")):
            if detail:
                text.append(f"   {detail}", style="dim")
        return text

    def _alarms(self, alarms: Sequence[Mapping[str, Any]]) -> Table:
        words = self._words
        table = Table(title=words["alarms"], title_justify="left", expand=True, box=None)
        for column in ("time", "severity", "state", "what"):
            table.add_column(words[column], no_wrap=column != "what")
        for alarm in alarms[:ALARMS_SHOWN]:
            colour = "dim" if alarm["state"] == "normal" else COLOURS[alarm["severity"]]
            when = datetime.fromisoformat(alarm["onset"][:19]).replace(tzinfo=UTC).astimezone(self._zone)
            cells = (f"{when:%H:%M:%S}", words[alarm["severity"]], words[alarm["state"]], self._text(alarm))
            table.add_row(*(Text(cell, style=colour) for cell in cells))
        if not alarms:
            table.add_row("", "", "", words["none"])
        return table

    def _text(self, alarm: Mapping[str, Any]) -> str:
        return "".join(c if c.isprintable() else "\ufffd" for c in str(alarm["text"][self._language]))

    def _clock(self, wall_ns: int, form: str) -> str:
        return datetime.fromtimestamp(wall_ns / 1e9, self._zone).strftime(form)
