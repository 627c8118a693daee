"""What an alarm says to people, in Vietnamese and English. In: facts of an alarm. Out: one sentence each.

Names come from ``vocabulary``; a type without one is shown by its own. Never decides anything.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.alarm.group import RADIO, TYPE
from gateway.fleet import Asset, Fleet
from gateway.vocabulary.kinds import KINDS
from gateway.vocabulary.own import DATA_GAP

GAPS: Final = {
    "session_lost": ("phiên MQTT không còn trên broker", "the broker no longer had our session"),
    "broker_restarted": ("broker đã khởi động lại", "the broker was restarted"),
    "broker_dropped": (
        "hàng đợi của broker đầy, bản tin bị bỏ",
        "a queue of the broker was full and it dropped messages",
    ),
    "journal_corrupt": ("bản ghi của nhật ký bị hỏng", "records of the journal are damaged"),
}
RADIO_NAMES: Final = ("một gateway vô tuyến hoặc trạm di động", "a radio gateway or cell")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Wording:
    """Sentences for the places and the local time of one inventory."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._zone = ZoneInfo(fleet.time_zone)

    def sentence(
        self, kind: str, asset: str, onset_ns: int, value: float | None, limit: float | None, unit: str
    ) -> tuple[str, str]:
        """(vi, en): what, where, since when, measured value and limit. ``unit`` "" leaves the numbers out."""
        known = KINDS.get(kind)
        vi_name, en_name = (known.vi, known.en) if known else (_spaced(kind), _spaced(kind))
        vi_where, en_where = self._place(asset)
        day, clock = self._local(onset_ns)
        vi = f"{vi_name} tại {vi_where} từ {clock} ngày {day:%d/%m/%Y}"
        en = f"{en_name} at {en_where} since {day:%Y-%m-%d} {clock}"
        if value is None or limit is None or not unit:
            return vi, en
        unit = "" if unit == "1" else f" {unit}"
        numbers_vi = f"{_number(value)}{unit}, ngưỡng {_number(limit)}{unit}".replace(".", ",")
        return f"{vi}: {numbers_vi}", f"{en}: {_number(value)}{unit}, limit {_number(limit)}{unit}"

    def group(self, kind: str, asset: str, onset_ns: int, members: tuple[str, ...]) -> tuple[str, str]:
        """The sentences for a group: how many light points, and which in pole order."""
        vi, en = self.sentence(kind, asset, onset_ns, None, None, "")
        if not members:
            return vi, en
        if asset == RADIO or asset.startswith(f"{TYPE}:"):  # they stand anywhere
            return f"{vi}: {len(members)} điểm", f"{en}: {len(members)} points"
        span = members[0] if len(members) == 1 else f"{members[0]} – {members[-1]}"
        return f"{vi}: {len(members)} điểm, {span}", f"{en}: {len(members)} points, {span}"

    def ended(self, vi: str, en: str, time_ns: int) -> tuple[str, str]:
        """The sentences of an alarm whose condition is over."""
        day, clock = self._local(time_ns)
        return f"{vi}; hết lúc {clock} ngày {day:%d/%m/%Y}", f"{en}; ended {day:%Y-%m-%d} {clock}"

    def gap(self, onset_ns: int, cause: str, detail: str = "") -> tuple[str, str]:
        """A data gap, why it could not be prevented, and how far it reaches, which is not translated."""
        vi, en = self.sentence(DATA_GAP, "gateway", onset_ns, None, None, "")
        vi_cause, en_cause = GAPS.get(cause, (cause, cause))
        reach = f" ({detail})" if detail else ""
        return f"{vi}: {vi_cause}{reach}", f"{en}: {en_cause}{reach}"

    def trouble(self, kind: str, since_ns: int, detail: str) -> tuple[str, str]:
        """What is wrong with the gateway itself; ``detail`` is for who mends it and is not translated."""
        vi, en = self.sentence(kind, "gateway", since_ns, None, None, "")
        return (f"{vi}: {detail}", f"{en}: {detail}") if detail else (vi, en)

    def _place(self, asset_id: str) -> tuple[str, str]:
        """(vi, en): the point, where on its feeder it stands, road and area."""
        if asset_id == RADIO:
            return RADIO_NAMES
        if asset_id.startswith(f"{TYPE}:"):
            kind = asset_id.removeprefix(f"{TYPE}:")
            return f"các đèn loại {kind}", f"lamps of type {kind}"
        row = self._fleet.asset_row.get(asset_id)
        if row is None:
            name = self._group(asset_id)
            return name, name
        asset = self._fleet.assets[row]
        area = self._fleet.area_by_code.get(asset.area)
        vi_pole, en_pole = _pole(asset)
        around = (asset.road, area.name if area else asset.area)
        vi, en = (
            ", ".join(part for part in (asset.id, pole, *around) if part) for pole in (vi_pole, en_pole)
        )
        return vi, en

    def _group(self, name: str) -> str:
        """An area by its name; a feeder, or ``feeder/phase``, with the cabinet it hangs on."""
        if name in self._fleet.area_by_code:
            return self._fleet.area_by_code[name].name
        feeder = self._fleet.feeder_by_id.get(name.split("/")[0])
        return name if feeder is None else f"{name}, {feeder.cabinet}"

    def _local(self, time_ns: int) -> tuple[datetime, str]:
        local = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone(self._zone)
        return local, f"{local:%H:%M}"


def _pole(asset: Asset) -> tuple[str, str]:
    """How a crew finds it: poles are counted from the cabinet."""
    if not asset.pole_sequence or not asset.feeder:
        return "", ""
    return (
        f"cột {asset.pole_sequence} tuyến {asset.feeder}",
        f"pole {asset.pole_sequence} of feeder {asset.feeder}",
    )


def _number(value: float) -> str:
    return f"{round(value, 2):g}" if abs(value) < 1e6 else f"{value:.3g}"


def _spaced(kind: str) -> str:
    return _HUMP.sub(" ", kind).capitalize()
