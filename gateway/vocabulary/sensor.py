"""Types of alarm about city sensors, and about devices of any kind. In: nothing. Out: their table."""

from __future__ import annotations

from typing import Final

from gateway.vocabulary.kind import Delivery, Kind


def _kind(
    words: tuple[str, str],
    checks: tuple[str, str],
    category: str,
    delivery: Delivery = Delivery.MORNING,
    *,
    breaks_through: bool = False,
    likely: bool = False,
    equipment: bool = False,
) -> Kind:
    return Kind(
        vi=words[0],
        en=words[1],
        check_vi=checks[0],
        check_en=checks[1],
        category=category,
        delivery=delivery,
        breaks_through=breaks_through,
        likely=likely,
        equipment=equipment,
    )


_AIR: Final = (
    "so với các trạm lân cận; khuyến cáo người dân nếu kéo dài",
    "against neighbouring stations; advise people if it lasts",
)
_INSTRUMENT: Final = (
    "đầu đo: bẩn, kẹt hoặc cần hiệu chuẩn",
    "the sensor: dirty, stuck or due for calibration",
)
_FLOOD: Final = (
    "chặn đường ngập, cắt điện trụ trong vùng ngập",
    "close the road, isolate poles in the water",
)

SENSOR: Final[dict[str, Kind]] = {
    "communicationFailure": _kind(
        ("Thiết bị không gửi dữ liệu", "Device silent"),
        (
            "nguồn, sóng và SIM của thiết bị; đèn chưa chắc đã tắt",
            "its power, radio and SIM; a lamp may well be lit",
        ),
        "Infra",
        likely=True,
        equipment=True,
    ),
    "batteryLow": _kind(
        ("Pin yếu", "Battery low"),
        ("thay pin, kiểm tra tấm pin mặt trời", "battery, solar panel"),
        "Infra",
        equipment=True,
    ),
    "sensorOutOfRange": _kind(
        ("Số đo ngoài dải của thiết bị", "Reading out of the sensor's range"),
        _INSTRUMENT,
        "Infra",
        equipment=True,
    ),
    "sensorFlatLine": _kind(
        ("Số đo đứng yên bất thường", "Reading does not move"),
        _INSTRUMENT,
        "Infra",
        likely=True,
        equipment=True,
    ),
    "sensorDrift": _kind(
        ("Số đo lệch dần so với các trạm lân cận", "Reading drifts from its neighbours"),
        _INSTRUMENT,
        "Infra",
        likely=True,
        equipment=True,
    ),
    "floodLevelHigh": _kind(("Mức ngập cao", "Flood level high"), _FLOOD, "Met"),
    "floodLevelCritical": _kind(
        ("Mức ngập nguy hiểm", "Flood level critical"), _FLOOD, "Met", Delivery.WAKE, breaks_through=True
    ),
    "floodRising": _kind(
        ("Nước dâng nhanh", "Water rising fast"), _FLOOD, "Met", Delivery.WAKE, breaks_through=True
    ),
    "noiseTooHigh": _kind(
        ("Tiếng ồn vượt mức", "Noise too high"),
        (
            "nguồn ồn quanh trạm: thi công, giao thông, loa",
            "what is loud there: works, traffic, loudspeakers",
        ),
        "Env",
    ),
    "airQualityHourly": _kind(
        ("Chất lượng không khí theo giờ xấu", "Air quality of the hour bad"), _AIR, "Env"
    ),
    "airQualityDaily": _kind(
        ("Chất lượng không khí theo ngày xấu", "Air quality of the day bad"), _AIR, "Env"
    ),
    "pm10TooHigh": _kind(("Bụi PM10 vượt mức", "PM10 too high"), _AIR, "Env"),
    "pm25TooHigh": _kind(("Bụi PM2.5 vượt mức", "PM2.5 too high"), _AIR, "Env"),
    "rainTooHeavy": _kind(
        ("Mưa rất to", "Rain very heavy"),
        ("các điểm hay ngập trong khu vực", "places there that flood"),
        "Met",
    ),
    "windTooStrong": _kind(
        ("Gió rất mạnh", "Wind very strong"),
        ("trụ và cần đèn sau cơn gió, cây đổ vào dây", "poles and arms after the wind, trees on cables"),
        "Met",
    ),
    "trafficCongested": _kind(
        ("Ùn tắc giao thông", "Traffic congested"),
        ("camera khu vực; báo điều tiết giao thông", "cameras there; tell traffic control"),
        "Transport",
        Delivery.RECORD,
    ),
}
