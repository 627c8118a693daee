"""Types of alarm about the gateway itself. In: nothing. Out: their table. Its asset is ``gateway``."""

from __future__ import annotations

from typing import Final

from gateway.vocabulary.kind import Delivery, Kind

DATA_GAP: Final = "dataGap"
"""Over as soon as it is known: it leaves as an event of its own (``vn.citylight.gap``)."""

OWN: Final[dict[str, Kind]] = {
    DATA_GAP: Kind(
        vi="Mất một đoạn dữ liệu",
        en="A stretch of data was lost",
        check_vi="broker và đường truyền trong khoảng thời gian này; xem nhật ký của broker",
        check_en="broker and network in that time; see the broker's own log",
        delivery=Delivery.MORNING,
    ),
    "journalFull": Kind(
        vi="Nhật ký đầy, không nhận thêm dữ liệu",
        en="Journal full, nothing more is taken",
        check_vi="giải phóng đĩa hoặc khôi phục kho dữ liệu; broker chỉ giữ được có hạn",
        check_en="free the disk or bring the store back; the broker keeps only so much",
        delivery=Delivery.WAKE,
        breaks_through=True,
    ),
    "storeUnavailable": Kind(
        vi="Kho dữ liệu không nhận số đo",
        en="Store takes no readings",
        check_vi="máy chủ kho dữ liệu và đường mạng; số đo đang chờ trong nhật ký",
        check_en="the store's server and the network; readings wait in the journal",
        delivery=Delivery.MORNING,
    ),
    "storeLosses": Kind(
        vi="Kho dữ liệu bỏ số đo đã nhận",
        en="Store throws away readings it took",
        check_vi="đĩa và thời hạn lưu của kho dữ liệu",
        check_en="disk and retention of the store",
        delivery=Delivery.MORNING,
    ),
    "test": Kind(
        vi="Cảnh báo thử",
        en="Test alarm",
        check_vi="không cần làm gì",
        check_en="nothing; this is a test",
        delivery=Delivery.WAKE,
    ),
}
