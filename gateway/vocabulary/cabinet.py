"""Types of alarm about feeders, cabinets and poles. In: nothing. Out: their table.

Field practice says what wakes somebody: feeder or cabinet dark, neutral lost, leakage, a pole down, a door.
"""

from __future__ import annotations

from typing import Final

from gateway.vocabulary.kind import Delivery, Kind


def _phase(letter: str, high: bool) -> Kind:
    return Kind(
        vi=f"Điện áp pha {letter} quá {'cao' if high else 'thấp'}",
        en=f"Voltage of phase {letter} too {'high' if high else 'low'}",
        check_vi="điện áp đầu vào tủ, trung tính; báo điện lực nếu lưới lệch",
        check_en="voltage at the cabinet's supply, the neutral; tell the grid company if it is the grid",
        delivery=Delivery.MORNING,
    )


CABINET: Final[dict[str, Kind]] = {
    "feederOpen": Kind(
        vi="Tuyến đèn mất điện, tủ vẫn có điện",
        en="Feeder dark, its cabinet has power",
        check_vi="aptomat tuyến, đứt hoặc mất trộm cáp; dò từ cột đầu tiên không sáng",
        check_en="the feeder's breaker, cable cut or stolen; begin at the first dark pole",
        delivery=Delivery.WAKE,
        equipment=True,
    ),
    "feederPresumedDark": Kind(
        vi="Tuyến đèn có thể đã mất điện",
        en="Feeder presumed dark",
        check_vi="cho người qua xem tuyến có sáng không, rồi kiểm tra tủ",
        check_en="send somebody to see whether it is lit, then the cabinet",
        delivery=Delivery.WAKE,
        likely=True,
        equipment=True,
    ),
    "segmentDark": Kind(
        vi="Một đoạn tuyến không sáng",
        en="A stretch of the feeder is dark",
        check_vi="đầu nối và cáp tại cột đầu của đoạn tối",
        check_en="joints and cable at the first pole of the dark stretch",
        delivery=Delivery.WAKE,
        equipment=True,
    ),
    "wardOutage": Kind(
        vi="Nhiều tuyến đèn mất điện",
        en="Several feeders without power",
        check_vi="hỏi điện lực về sự cố lưới trong khu vực trước khi cử người",
        check_en="ask the grid company about the area before sending anybody",
        delivery=Delivery.WAKE,
    ),
    "supplyLoss": Kind(
        vi="Mất nguồn điện",
        en="Supply lost",
        check_vi="báo điện lực; kiểm tra aptomat tổng và công tơ của tủ",
        check_en="tell the grid company; main breaker and meter of the cabinet",
        delivery=Delivery.WAKE,
    ),
    "switchingErrorOff": Kind(
        vi="Tủ không đóng điện theo lịch",
        en="Not switched on as planned",
        check_vi="khởi động từ, rơ le thời gian, công tắc tay/tự động",
        check_en="contactor, time switch, the manual/automatic selector",
        delivery=Delivery.WAKE,
        equipment=True,
    ),
    "switchingErrorOn": Kind(
        vi="Tủ không cắt điện theo lịch",
        en="Not switched off as planned",
        check_vi="tiếp điểm khởi động từ bị dính, công tắc để tay",
        check_en="welded contactor, selector left on manual",
        delivery=Delivery.MORNING,
        equipment=True,
    ),
    "phaseLoss": Kind(
        vi="Mất pha",
        en="Phase lost",
        check_vi="cầu chì pha, aptomat, đầu cốt tại tủ",
        check_en="the phase's fuse, breaker and terminals in the cabinet",
        delivery=Delivery.WAKE,
        equipment=True,
    ),
    "phaseImbalance": Kind(
        vi="Lệch tải giữa các pha",
        en="Load of the phases out of balance",
        check_vi="đèn đấu nối sai pha so với hồ sơ, đèn tắt mà không báo, câu móc trên một pha",
        check_en="lamps connected to another phase than on record, dark ones nobody heard, taps on one phase",
        delivery=Delivery.MORNING,
    ),
    "neutralLoss": Kind(
        vi="Mất trung tính",
        en="Neutral lost",
        check_vi="cắt điện tủ ngay, siết lại trung tính: điện áp cao phá hỏng hàng loạt bộ nguồn",
        check_en="switch the cabinet off, mend the neutral: over-voltage kills drivers by the dozen",
        delivery=Delivery.WAKE,
        breaks_through=True,
        equipment=True,
    ),
    **{
        f"phase{number}VoltageToo{'High' if high else 'Low'}": _phase(letter, high)
        for high in (True, False)
        for number, letter in enumerate("ABC", 1)
    },
    "leakageDetected": Kind(
        vi="Rò điện",
        en="Leakage current",
        check_vi="cắt tuyến, không để người lại gần cột; đo cách điện từng cột",
        check_en="switch the feeder off, keep people away from the poles; test the insulation pole by pole",
        delivery=Delivery.WAKE,
        category="Safety",
        breaks_through=True,
        equipment=True,
        latching=True,
    ),
    "poleMayBeLive": Kind(
        vi="Trụ có thể nhiễm điện trong vùng ngập",
        en="Pole may be live in flood water",
        check_vi="cắt điện tuyến ngay, rào chắn và cảnh báo người dân",
        check_en="switch the feeder off at once, close the place and warn people",
        delivery=Delivery.WAKE,
        category="Safety",
        breaks_through=True,
        equipment=True,
        latching=True,
    ),
    "columnKnockedDown": Kind(
        vi="Trụ đèn bị đổ",
        en="Pole knocked down",
        check_vi="cắt điện tuyến, rào chắn, báo công an giao thông",
        check_en="switch the feeder off, close the place, tell the traffic police",
        delivery=Delivery.WAKE,
        category="Safety",
        breaks_through=True,
        equipment=True,
        latching=True,
    ),
    "columnIssue": Kind(
        vi="Trụ đèn nghiêng",
        en="Pole tilted",
        check_vi="móng và bu lông trụ, vết va quệt",
        check_en="foundation and bolts of the pole, marks of a collision",
        delivery=Delivery.MORNING,
        category="Safety",
        equipment=True,
    ),
    "doorOpen": Kind(
        vi="Cửa tủ điện đang mở",
        en="Cabinet door open",
        check_vi="có đội thi công nào đang làm việc không; nếu không, đề phòng mất trộm",
        check_en="whether a crew is at work; if not, somebody else is",
        delivery=Delivery.WAKE,
        category="Security",
    ),
    "circuitBreakerTripped": Kind(
        vi="Aptomat đã nhảy",
        en="Circuit breaker tripped",
        check_vi="tìm chỗ chạm chập trước khi đóng lại",
        check_en="find the short circuit before closing it again",
        delivery=Delivery.WAKE,
        equipment=True,
    ),
    "localOverride": Kind(
        vi="Tủ để tay",
        en="Cabinet on manual",
        check_vi="trả công tắc về tự động sau khi làm xong",
        check_en="turn the selector back to automatic after the work",
        delivery=Delivery.MORNING,
    ),
    "overload": Kind(
        vi="Quá tải",
        en="Overloaded",
        check_vi="tải câu thêm, định mức aptomat tổng và cáp",
        check_en="loads connected by others, ratings of the main breaker and cables",
        delivery=Delivery.MORNING,
        equipment=True,
    ),
    "unexpectedLoad": Kind(
        vi="Tủ mang tải lạ ngoài các đèn",
        en="Load beyond what the lamps draw",
        check_vi="câu móc điện dọc tuyến, thiết bị đấu thêm, đèn chưa có trong hồ sơ",
        check_en="taps along the feeders, things connected since, lamps that are not on record",
        delivery=Delivery.MORNING,
    ),
    "totalPowerTooHigh": Kind(
        vi="Công suất tủ cao hơn dự kiến",
        en="Cabinet power higher than expected",
        check_vi="câu móc điện, đèn sáng sai mức",
        check_en="taps by others, lamps at a wrong level",
        delivery=Delivery.MORNING,
    ),
    "totalPowerTooLow": Kind(
        vi="Công suất tủ thấp hơn dự kiến",
        en="Cabinet power lower than expected",
        check_vi="đèn không sáng trên các tuyến của tủ",
        check_en="dark lamps on the cabinet's feeders",
        delivery=Delivery.MORNING,
    ),
    "energyTheft": Kind(
        vi="Điện năng của tủ nhiều hơn tổng các đèn",
        en="Cabinet uses more energy than its lamps",
        check_vi="câu móc điện dọc tuyến, sai số đo",
        check_en="taps along the feeder, metering errors",
        delivery=Delivery.MORNING,
        likely=True,
    ),
    "inventoryMismatch": Kind(
        vi="Hồ sơ đấu nối không khớp thực tế",
        en="Wiring differs from the records",
        check_vi="pha và tuyến ghi trong hồ sơ của điểm đèn này",
        check_en="phase and feeder recorded for this light point",
        delivery=Delivery.MORNING,
        likely=True,
    ),
    "radioGatewayLost": Kind(
        vi="Mất trạm thu sóng",
        en="Radio gateway lost",
        check_vi="nguồn và đường truyền của trạm thu; đèn chưa chắc đã tắt",
        check_en="power and uplink of the radio gateway; the lamps may well be lit",
        delivery=Delivery.MORNING,
        likely=True,
        equipment=True,
    ),
    "weakRadio": Kind(
        vi="Sóng yếu, hay mất bản tin",
        en="Weak radio, many reports lost",
        check_vi="ăng ten, vật che chắn, vị trí trạm thu",
        check_en="aerial, obstacles, the place of the radio gateway",
        delivery=Delivery.RECORD,
    ),
}
