"""What an alarm says to people, in Vietnamese and English. In: facts of an alarm. Out: one sentence each.

Never decides anything. A type without a wording is shown by its own name: a new rule needs no change here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.fleet import Fleet

NAMES: Final = {
    "lampFailure": ("Đèn không sáng", "Lamp failure"),
    "lampUnexpectedOn": ("Đèn sáng ngoài giờ", "Lamp on when it should be off"),
    "lampPowerTooHigh": ("Công suất đèn quá cao", "Lamp power too high"),
    "lampPowerTooLow": ("Công suất đèn quá thấp", "Lamp power too low"),
    "lampVoltageTooHigh": ("Điện áp bóng đèn quá cao", "Lamp voltage too high"),
    "lampVoltageTooLow": ("Điện áp bóng đèn quá thấp", "Lamp voltage too low"),
    "controlGearFailure": ("Bộ nguồn hỏng", "Control gear failure"),
    "controlGearCommFailure": ("Mất liên lạc với bộ nguồn", "Control gear does not answer"),
    "dimmingFailure": ("Điều chỉnh độ sáng không theo lệnh", "Dimming failure"),
    "supplyVoltageTooHigh": ("Điện áp nguồn quá cao", "Supply voltage too high"),
    "supplyVoltageTooLow": ("Điện áp nguồn quá thấp", "Supply voltage too low"),
    "supplyLoss": ("Mất nguồn điện", "Supply lost"),
    "currentTooHigh": ("Dòng điện quá cao", "Current too high"),
    "currentTooLow": ("Dòng điện quá thấp", "Current too low"),
    "powerFactorTooLow": ("Hệ số công suất quá thấp", "Power factor too low"),
    "highTemperature": ("Nhiệt độ quá cao", "Temperature too high"),
    "relayFailure": ("Rơ le hỏng", "Relay failure"),
    "leakageDetected": ("Rò điện", "Leakage current"),
    "neutralLoss": ("Mất trung tính", "Neutral lost"),
    "phase1VoltageTooHigh": ("Điện áp pha A quá cao", "Voltage of phase A too high"),
    "phase2VoltageTooHigh": ("Điện áp pha B quá cao", "Voltage of phase B too high"),
    "phase3VoltageTooHigh": ("Điện áp pha C quá cao", "Voltage of phase C too high"),
    "phase1VoltageTooLow": ("Điện áp pha A quá thấp", "Voltage of phase A too low"),
    "phase2VoltageTooLow": ("Điện áp pha B quá thấp", "Voltage of phase B too low"),
    "phase3VoltageTooLow": ("Điện áp pha C quá thấp", "Voltage of phase C too low"),
    "doorOpen": ("Cửa tủ điện đang mở", "Cabinet door open"),
    "circuitBreakerTripped": ("Aptomat đã nhảy", "Circuit breaker tripped"),
    "localOverride": ("Tủ để tay", "Cabinet on manual"),
    "batteryLow": ("Pin yếu", "Battery low"),
    "floodLevelHigh": ("Mức ngập cao", "Flood level high"),
    "floodLevelCritical": ("Mức ngập nguy hiểm", "Flood level critical"),
    "noiseTooHigh": ("Tiếng ồn vượt mức", "Noise too high"),
    "pm10TooHigh": ("Bụi PM10 vượt mức", "PM10 too high"),
    "pm25TooHigh": ("Bụi PM2.5 vượt mức", "PM2.5 too high"),
    "rainTooHeavy": ("Mưa rất to", "Rain very heavy"),
    "windTooStrong": ("Gió rất mạnh", "Wind very strong"),
    "trafficCongested": ("Ùn tắc giao thông", "Traffic congested"),
    "feederOpen": ("Tuyến đèn mất điện, tủ vẫn có điện", "Feeder dark, its cabinet has power"),
    "feederPresumedDark": ("Tuyến đèn có thể đã mất điện", "Feeder presumed dark"),
    "wardOutage": ("Nhiều tuyến đèn mất điện", "Several feeders without power"),
    "switchingErrorOff": ("Tủ không đóng điện theo lịch", "Not switched on as planned"),
    "switchingErrorOn": ("Tủ không cắt điện theo lịch", "Not switched off as planned"),
    "phaseLoss": ("Mất pha", "Phase lost"),
    "communicationFailure": ("Thiết bị không gửi dữ liệu", "Device silent"),
    "dataGap": ("Mất một đoạn dữ liệu", "A stretch of data was lost"),
    "journalFull": ("Nhật ký đầy, không nhận thêm dữ liệu", "Journal full, nothing more is taken"),
    "storeUnavailable": ("Kho dữ liệu không nhận số đo", "Store takes no readings"),
    "storeLosses": ("Kho dữ liệu bỏ số đo đã nhận", "Store throws away readings it took"),
    "test": ("Cảnh báo thử", "Test alarm"),
}
GAPS: Final = {
    "session_lost": ("phiên MQTT không còn trên broker", "the broker no longer had our session"),
    "broker_restarted": ("broker đã khởi động lại", "the broker was restarted"),
    "broker_dropped": (
        "hàng đợi của broker đầy, bản tin bị bỏ",
        "a queue of the broker was full and it dropped messages",
    ),
    "journal_corrupt": ("bản ghi của nhật ký bị hỏng", "records of the journal are damaged"),
}
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
        vi_name, en_name = NAMES.get(kind, (_spaced(kind), _spaced(kind)))
        where = self._place(asset)
        day, clock = self._local(onset_ns)
        vi = f"{vi_name} tại {where} từ {clock} ngày {day:%d/%m/%Y}"
        en = f"{en_name} at {where} since {day:%Y-%m-%d} {clock}"
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
        span = members[0] if len(members) == 1 else f"{members[0]} – {members[-1]}"
        return f"{vi}: {len(members)} điểm, {span}", f"{en}: {len(members)} points, {span}"

    def ended(self, vi: str, en: str, time_ns: int) -> tuple[str, str]:
        """The sentences of an alarm whose condition is over."""
        day, clock = self._local(time_ns)
        return f"{vi}; hết lúc {clock} ngày {day:%d/%m/%Y}", f"{en}; ended {day:%Y-%m-%d} {clock}"

    def gap(self, onset_ns: int, cause: str, detail: str = "") -> tuple[str, str]:
        """A data gap, why it could not be prevented, and how far it reaches, which is not translated."""
        vi, en = self.sentence("dataGap", "gateway", onset_ns, None, None, "")
        vi_cause, en_cause = GAPS.get(cause, (cause, cause))
        reach = f" ({detail})" if detail else ""
        return f"{vi}: {vi_cause}{reach}", f"{en}: {en_cause}{reach}"

    def trouble(self, kind: str, since_ns: int, detail: str) -> tuple[str, str]:
        """What is wrong with the gateway itself; ``detail`` is for who mends it and is not translated."""
        vi, en = self.sentence(kind, "gateway", since_ns, None, None, "")
        return (f"{vi}: {detail}", f"{en}: {detail}") if detail else (vi, en)

    def _place(self, asset_id: str) -> str:
        row = self._fleet.asset_row.get(asset_id)
        if row is None:
            return self._group(asset_id)
        asset = self._fleet.assets[row]
        area = self._fleet.area_by_code.get(asset.area)
        return ", ".join(part for part in (asset.id, asset.road, area.name if area else asset.area) if part)

    def _group(self, name: str) -> str:
        """An area by its name; a feeder, or ``feeder/phase``, with the cabinet it hangs on."""
        if name in self._fleet.area_by_code:
            return self._fleet.area_by_code[name].name
        feeder = self._fleet.feeder_by_id.get(name.split("/")[0])
        return name if feeder is None else f"{name}, {feeder.cabinet}"

    def _local(self, time_ns: int) -> tuple[datetime, str]:
        local = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone(self._zone)
        return local, f"{local:%H:%M}"


def _number(value: float) -> str:
    return f"{round(value, 2):g}" if abs(value) < 1e6 else f"{value:.3g}"


def _spaced(kind: str) -> str:
    return _HUMP.sub(" ", kind).capitalize()
