"""Types of alarm about single light points. In: nothing. Out: their table. None of them is about a group."""

from __future__ import annotations

from typing import Final

from gateway.vocabulary.kind import Delivery, Kind


def _lamp(
    vi: str,
    en: str,
    check_vi: str,
    check_en: str,
    delivery: Delivery = Delivery.MORNING,
    *,
    likely: bool = False,
    equipment: bool = False,
) -> Kind:
    return Kind(
        vi=vi,
        en=en,
        check_vi=check_vi,
        check_en=check_en,
        delivery=delivery,
        lamp=True,
        likely=likely,
        equipment=equipment,
    )


LAMP: Final[dict[str, Kind]] = {
    "lampFailure": _lamp(
        "Đèn không sáng",
        "Lamp failure",
        "bóng, bộ nguồn, cầu chì và đầu nối ở cửa cột",
        "lamp, driver, fuse and joint at the pole door",
        equipment=True,
    ),
    "lampUnexpectedOn": _lamp(
        "Đèn sáng ngoài giờ",
        "Lamp on when it should be off",
        "rơ le bộ điều khiển có bị dính không, cảm biến ánh sáng, lịch đã nạp",
        "whether the controller's relay is welded, the photocell, the programme it was given",
        equipment=True,
    ),
    "lampUnexpectedOff": _lamp(
        "Đèn tắt trong giờ chiếu sáng",
        "Lamp off when it should be on",
        "lịch đã nạp, cảm biến ánh sáng, lệnh điều khiển tay còn hiệu lực",
        "the programme it was given, the photocell, a manual command still in force",
        equipment=True,
    ),
    "lampPowerTooHigh": _lamp(
        "Công suất đèn quá cao",
        "Lamp power too high",
        "loại đèn thực lắp so với hồ sơ, bộ nguồn, tải đấu thêm",
        "the lamp type against the records, the driver, anything else connected",
        equipment=True,
    ),
    "lampPowerTooLow": _lamp(
        "Công suất đèn quá thấp",
        "Lamp power too low",
        "mô-đun LED hỏng một phần, bộ nguồn, loại đèn thực lắp so với hồ sơ",
        "LED modules partly dead, the driver, the lamp type against the records",
        equipment=True,
    ),
    "invalidLampType": _lamp(
        "Loại đèn không đúng hồ sơ",
        "Lamp type differs from the records",
        "công suất và loại đèn trong hồ sơ so với đèn ngoài hiện trường",
        "rated power and lamp type of the records against what hangs there",
        equipment=True,
    ),
    "lampVoltageTooHigh": _lamp(
        "Điện áp bóng đèn quá cao",
        "Lamp voltage too high",
        "mạch LED hở, bộ nguồn",
        "open LED string, the driver",
        Delivery.RECORD,
    ),
    "lampVoltageTooLow": _lamp(
        "Điện áp bóng đèn quá thấp",
        "Lamp voltage too low",
        "mạch LED chập, bộ nguồn",
        "shorted LED string, the driver",
        Delivery.RECORD,
    ),
    "controlGearFailure": _lamp(
        "Bộ nguồn hỏng",
        "Control gear failure",
        "thay bộ nguồn, kiểm tra chống sét",
        "the driver, the surge protection",
        equipment=True,
    ),
    "controlGearCommFailure": _lamp(
        "Mất liên lạc với bộ nguồn",
        "Control gear does not answer",
        "dây DALI hoặc 0–10 V giữa bộ điều khiển và bộ nguồn",
        "the DALI or 0–10 V wires between controller and driver",
        equipment=True,
    ),
    "lightSourceFailure": _lamp(
        "Mô-đun LED hỏng",
        "Light source failure",
        "mô-đun LED, đầu nối trong chóa đèn",
        "LED module, joints in the head",
        equipment=True,
    ),
    "thermalDerating": _lamp(
        "Đèn tự giảm sáng vì nóng",
        "Lamp dims itself because it is hot",
        "tản nhiệt bám bụi, vị trí lắp đặt",
        "dirty heat sink, the place it hangs in",
        Delivery.RECORD,
    ),
    "thermalShutdown": _lamp(
        "Đèn tự tắt vì quá nóng",
        "Lamp switched itself off because it is hot",
        "tản nhiệt, bộ nguồn, thông gió của chóa đèn",
        "heat sink, driver, ventilation of the head",
        equipment=True,
    ),
    "dimmingFailure": _lamp(
        "Điều chỉnh độ sáng không theo lệnh",
        "Dimming failure",
        "dây điều khiển tới bộ nguồn, lịch tiết giảm đã nạp",
        "control wires to the driver, the dimming programme it was given",
        equipment=True,
    ),
    "cyclingFailure": _lamp(
        "Đèn chập chờn, tắt bật nhiều lần",
        "Lamp cycles on and off",
        "đầu nối lỏng ở cột, bộ nguồn, bóng cuối đời; nhiều đèn cùng pha: khởi động từ, mối nối trên tuyến",
        "loose joint at the pole, the driver, a lamp at its end of life;"
        " several lamps of one phase: the contactor, a joint of the feeder",
        equipment=True,
    ),
    "programmeMismatch": _lamp(
        "Bộ điều khiển chạy sai lịch",
        "Controller runs another programme",
        "lịch đã nạp, đồng hồ của bộ điều khiển, chế độ dự phòng",
        "the programme it was given, its clock, its fallback mode",
    ),
    "invalidCalendar": _lamp(
        "Lịch năm trong bộ điều khiển không hợp lệ",
        "Invalid calendar in the controller",
        "nạp lại lịch, kiểm tra đồng hồ",
        "load the calendar again, look at the clock",
    ),
    "invalidProgram": _lamp(
        "Chương trình chiếu sáng không hợp lệ",
        "Invalid programme in the controller",
        "nạp lại chương trình chiếu sáng",
        "load the programme again",
    ),
    "powerFactorTooLow": _lamp(
        "Hệ số công suất quá thấp",
        "Power factor too low",
        "bộ nguồn, tụ bù",
        "the driver, the correction capacitor",
        Delivery.RECORD,
    ),
    "supplyVoltageTooHigh": _lamp(
        "Điện áp nguồn quá cao",
        "Supply voltage too high",
        "điện áp các đèn cùng pha, trung tính của tuyến",
        "voltage of lamps on the same phase, the neutral of the feeder",
    ),
    "supplyVoltageTooLow": _lamp(
        "Điện áp nguồn quá thấp",
        "Supply voltage too low",
        "đầu nối lỏng, sụt áp cuối tuyến",
        "loose joint, voltage drop at the end of the feeder",
        Delivery.RECORD,
    ),
    "voltageDeviation": _lamp(
        "Điện áp lệch so với các đèn cùng pha",
        "Voltage differs from lamps of the same phase",
        "đầu nối lỏng ở cột này hoặc cột ngay trước",
        "loose joint at this pole or the one before it",
        equipment=True,
    ),
    "currentTooHigh": _lamp(
        "Dòng điện quá cao",
        "Current too high",
        "chạm chập, tải câu thêm",
        "short circuit, a load connected by others",
    ),
    "currentTooLow": _lamp(
        "Dòng điện quá thấp", "Current too low", "bộ nguồn, mạch đèn hở", "the driver, an open circuit"
    ),
    "highTemperature": _lamp(
        "Nhiệt độ quá cao",
        "Temperature too high",
        "tản nhiệt, thông gió, đầu nối phát nóng",
        "heat sink, ventilation, a joint that runs hot",
        equipment=True,
    ),
    "relayFailure": _lamp(
        "Rơ le hỏng",
        "Relay failure",
        "rơ le bộ điều khiển dính hoặc hở",
        "the controller's relay, welded or open",
        equipment=True,
    ),
    "contactorError": _lamp(
        "Khởi động từ không theo lệnh",
        "Contactor does not follow",
        "cuộn hút và tiếp điểm khởi động từ",
        "coil and contacts of the contactor",
        equipment=True,
    ),
    "energyRollback": _lamp(
        "Chỉ số điện năng lùi sau mất điện",
        "Energy register fell back after a power cut",
        "không cần ra hiện trường; chỉ số được ước tính bù",
        "nothing on site; the register is made good by an estimate",
        Delivery.RECORD,
    ),
    "meteringFault": _lamp(
        "Đo đếm của đèn không tin được",
        "Lamp's metering can not be believed",
        "mạch đo trong bộ điều khiển, đèn thực tế sáng hay tắt",
        "the controller's metering, whether the lamp is lit",
        equipment=True,
    ),
    "photocellFailure": _lamp(
        "Cảm biến ánh sáng hỏng",
        "Photocell failure",
        "cảm biến bẩn, bị che hoặc kẹt giá trị",
        "a dirty, covered or stuck photocell",
        equipment=True,
    ),
}
