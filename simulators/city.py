"""A made-up new city. In: how many light points and sensors, a seed. Out: the inventory's CSV files as text.

Avenues and streets on a grid around 11.05 N 106.68 E, four feeders to a cabinet, fifty light points to a
feeder. Plausible in spacing, power and naming; no real pole stands where it says. Writes no file.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

LATITUDE, LONGITUDE = 11.05, 106.68
POINTS_PER_FEEDER, FEEDERS_PER_CABINET = 50, 4
BLOCK_M = 900.0
_METRES_PER_DEGREE = 111_195.0
_SWAPPED = 4  # controllers replaced in the past, so that assignments carry dates
_SWAP_DATE = "2026-06-15T09:00:00+07:00"

_AREAS = (
    ("hoa-phu", "Phường Hòa Phú"),
    ("phu-tan", "Phường Phú Tân"),
    ("phu-chanh", "Phường Phú Chánh"),
    ("dinh-hoa", "Phường Định Hòa"),
    ("hoa-loi", "Phường Hòa Lợi"),
    ("phu-my", "Phường Phú Mỹ"),
)
_EAST_WEST = ("Lê Lợi", "Hùng Vương", "Phạm Văn Đồng", "Lê Duẩn", "Trần Nhân Tông", "Nguyễn Văn Linh")
_NORTH_SOUTH = (
    "Võ Văn Tần",
    "Lý Thái Tổ",
    "Điện Biên Phủ",
    "Đồng Khởi",
    "Võ Nguyên Giáp",
    "Huỳnh Văn Lũy",
    "Tạo Lực",
    "Hữu Nghị",
)
_PROGRAMMES = (
    ("all-night", "astronomical", ""),
    ("evening", "astronomical", "23:00=70 04:30=100"),
    ("half-night", "astronomical", "23:00=50"),
    ("park", "astronomical", "22:30=40"),
)
_PHOTOCELL = ("photocell", "photocell", "")
_DROPPED = ("dropped-phase", "astronomical", "23:00=0")
_SENSORS = (  # profile, prefix of ids, share of the sensors
    ("air-quality", "AQ", 0.2),
    ("noise", "NS", 0.2),
    ("weather", "WS", 0.1),
    ("flood-level", "FL", 0.25),
    ("traffic-counter", "TC", 0.25),
)


@dataclass(frozen=True, slots=True)
class _Pole:
    x_m: float  # east of the city's centre
    y_m: float  # north of it
    power_w: float
    heads: int


@dataclass(frozen=True, slots=True)
class _Circuit:
    """A feeder and the poles along its road."""

    number: int
    road: str
    programme: str
    group_switched: bool
    poles: tuple[_Pole, ...]

    def programme_of(self, phase: str) -> str:
        """Two phases of a "dropped" circuit go off late in the evening."""
        if self.programme != _DROPPED[0]:
            return self.programme
        return _PROGRAMMES[0][0] if phase == "A" else self.programme

    @property
    def cabinet(self) -> str:
        return f"CB-{self.number // FEEDERS_PER_CABINET + 1:02d}"

    @property
    def id(self) -> str:
        return f"{self.cabinet}-F{self.number % FEEDERS_PER_CABINET + 1}"

    @property
    def area(self) -> str:
        return _AREAS[self.number // FEEDERS_PER_CABINET % len(_AREAS)][0]


def inventory(
    light_points: int = 1200,
    sensors: int = 60,
    seed: int = 2026,
    *,
    photocell_share: float = 0.0,
    dropped_phase_share: float = 0.0,
    d4i_share: float = 0.0,
) -> dict[str, str]:
    """File name to CSV text, ready for ``gateway.inventory`` in UTF-8. Same arguments, same bytes.

    Shares of the feeders: with photocells, and with two phases dropped at 23 h (those without power by day).
    ``d4i_share`` of the light points have a controller with D4i gear.
    """
    random_ = random.Random(f"{seed}/{light_points}/{sensors}")
    serials = _serials(random_)
    circuits = _circuits(light_points, random_)
    special = random.Random(f"{seed}/{light_points}/special")
    circuits = _with_special(circuits, special, photocell_share, dropped_phase_share)
    cabinets = sorted({c.cabinet: c for c in reversed(circuits)}.items())
    devices: list[Sequence[object]] = [(f"CC-{c[3:]}", "feeder-cabinet") for c, _ in cabinets]
    assignments: list[Sequence[object]] = [(f"CC-{c[3:]}", c, "", "") for c, _ in cabinets]
    points = list(_light_points(circuits))
    swapped = set(random_.sample(range(len(points)), min(_SWAPPED, len(points) // 100)))
    gear = random.Random(f"{seed}/{light_points}/d4i")
    speaking = set(gear.sample(range(len(points)), round(d4i_share * len(points))))
    for row, point in enumerate(points):
        start = ""
        if row in swapped:
            start, retired = _SWAP_DATE, f"LC-{next(serials)}"
            devices.append((retired, "luminaire-controller"))
            assignments.append((retired, point[0], "", start))
        serial = f"LC-{next(serials)}"
        devices.append((serial, "luminaire-d4i" if row in speaking else "luminaire-controller"))
        assignments.append((serial, point[0], start, ""))
    sites = []
    for profile, prefix, site in _sensor_sites(sensors, points, random_):
        serial = f"{prefix}-{next(serials)}"
        sites.append(site)
        devices.append((serial, profile))
        assignments.append((serial, site[0], "", ""))
    return {
        "areas.csv": _csv("code,name,parent", _areas(circuits)),
        "cabinets.csv": _csv("id,area,latitude,longitude,name,road", _cabinets(cabinets)),
        "feeders.csv": _csv(
            "id,cabinet,group_switched,phases",
            ((c.id, c.cabinet, "yes" if c.group_switched else "no", "ABC") for c in circuits),
        ),
        "programmes.csv": _csv("id,switch,steps,on,off", ((*p, "", "") for p in _programmes(circuits))),
        "light_points.csv": _csv(
            "id,area,latitude,longitude,feeder,phase,pole_sequence,rated_power_w,programme,road,heads", points
        ),
        "sensors.csv": _csv("id,area,latitude,longitude,road", sites),
        "devices.csv": _csv("id,profile", devices),
        "assignments.csv": _csv("device,asset,from,to", assignments),
    }


def _circuits(light_points: int, random_: random.Random) -> list[_Circuit]:
    """Feeders until all light points are placed; 65 % group-switched, 30 % half-night (field practice)."""
    count = max(1, math.ceil(light_points / POINTS_PER_FEEDER))
    switched = set(random_.sample(range(count), round(0.65 * count)))
    dimmed = set(random_.sample(range(count), round(0.3 * count)))
    cabinets = math.ceil(count / FEEDERS_PER_CABINET)
    columns = max(1, math.ceil(math.sqrt(cabinets * 1.5)))
    rows = math.ceil(cabinets / columns)
    circuits = []
    for number in range(count):
        block, leg = divmod(number, FEEDERS_PER_CABINET)
        row, column = divmod(block, columns)
        west, south = (column - columns / 2) * BLOCK_M, (row - rows / 2) * BLOCK_M
        points = min(POINTS_PER_FEEDER, light_points - number * POINTS_PER_FEEDER)
        is_park = leg == 3 and block % 3 == 1
        if is_park:
            road, poles = f"Công viên {block // 3 + 1}", _park(west, south, points, random_)
        elif leg % 2 == 0:
            road = _name(_EAST_WEST, 2 * row + leg // 2)
            poles = _road(west, south + leg / 4 * BLOCK_M, 0, leg == 0, points, random_)
        else:
            road = _name(_NORTH_SOUTH, 2 * column + leg // 2)
            poles = _road(west + (leg - 1) / 4 * BLOCK_M, south, 1, leg == 1, points, random_)
        programme = (
            "park" if is_park else "half-night" if number in dimmed else ("all-night", "evening")[leg % 2]
        )
        circuits.append(_Circuit(number, road, programme, number in switched, tuple(poles)))
    return circuits


def _with_special(
    circuits: Sequence[_Circuit], random_: random.Random, photocell_share: float, dropped_phase_share: float
) -> list[_Circuit]:
    """Photocells among the feeders always on, dropped phases among the switched; one at least if any."""
    programme: dict[int, str] = {}
    for name, share, switched in (
        (_PHOTOCELL[0], photocell_share, False),
        (_DROPPED[0], dropped_phase_share, True),
    ):
        eligible = [circuit.number for circuit in circuits if circuit.group_switched is switched]
        count = min(math.ceil(share * len(circuits)), len(eligible))
        programme |= dict.fromkeys(random_.sample(eligible, count), name)
    return [replace(c, programme=programme.get(c.number, c.programme)) for c in circuits]


def _programmes(circuits: Iterable[_Circuit]) -> Iterator[tuple[str, str, str]]:
    yield from _PROGRAMMES
    used = {circuit.programme for circuit in circuits}
    yield from (programme for programme in (_PHOTOCELL, _DROPPED) if programme[0] in used)


def _name(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else f"Đường số {index + 1}"


def _road(
    x_m: float, y_m: float, northward: int, is_avenue: bool, count: int, random_: random.Random
) -> Iterator[_Pole]:
    """Poles staggered on both sides, 30 to 35 m apart on each; avenues carry a double arm on every fourth."""
    along, half_width = 20.0, 14.0 if is_avenue else 6.0
    for number in range(count):
        side = half_width if number % 2 else -half_width
        offset = (along, side) if not northward else (side, along)
        double = is_avenue and number % 4 == 2
        power = (240.0 if double else 150.0) if is_avenue else 107.0
        yield _Pole(x_m + offset[0], y_m + offset[1], power, 2 if double else 1)
        along += random_.uniform(30.0, 35.0) / 2  # the opposite side follows half a spacing on


def _park(west_m: float, south_m: float, count: int, random_: random.Random) -> Iterator[_Pole]:
    """Low lamps around a path in the north-east quarter of the block."""
    for number in range(count):
        angle = 2 * math.pi * number / count
        radius = 165.0 + random_.uniform(-4.0, 4.0)
        yield _Pole(
            west_m + 0.75 * BLOCK_M + radius * math.cos(angle),
            south_m + 0.75 * BLOCK_M + radius * math.sin(angle),
            40.0,
            1,
        )


def _light_points(circuits: Iterable[_Circuit]) -> Iterator[tuple[object, ...]]:
    for circuit in circuits:
        for sequence, pole in enumerate(circuit.poles, 1):
            yield (
                f"LP-{circuit.id[3:].replace('-F', '-')}-{sequence:03d}",
                circuit.area,
                *_position(pole.x_m, pole.y_m),
                circuit.id,
                "ABC"[(sequence - 1) % 3],
                sequence,
                f"{pole.power_w:g}",
                circuit.programme_of("ABC"[(sequence - 1) % 3]),
                circuit.road,
                pole.heads,
            )


def _sensor_sites(
    count: int, points: list[tuple[object, ...]], random_: random.Random
) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """(profile, prefix of its device ids, row of sensors.csv): each stands beside a pole of its own."""
    shares = [round(count * share) for _, _, share in _SENSORS[:-1]]
    shares.append(count - sum(shares))
    beside = random_.sample(points, min(count, len(points)))
    at = 0
    for (profile, prefix, _), share in zip(_SENSORS, shares, strict=True):
        for number in range(share):
            point = beside[at % len(beside)]
            at += 1
            site = f"SN-{prefix}-{number + 1:02d}"
            yield profile, prefix, (site, point[1], point[2], point[3], point[9])


def _cabinets(cabinets: Iterable[tuple[str, _Circuit]]) -> Iterator[tuple[object, ...]]:
    for name, first in cabinets:
        pole = first.poles[0]
        yield (
            name,
            first.area,
            *_position(pole.x_m - 12, pole.y_m + 3),
            f"Tủ chiếu sáng {int(name[3:])}",
            first.road,
        )


def _areas(circuits: Iterable[_Circuit]) -> Iterator[tuple[str, str, str]]:
    yield "tpm", "Thành phố mới Bình Dương", ""
    used = {circuit.area for circuit in circuits}
    yield from ((code, name, "tpm") for code, name in _AREAS if code in used)


def _position(x_m: float, y_m: float) -> tuple[str, str]:
    latitude = LATITUDE + y_m / _METRES_PER_DEGREE
    longitude = LONGITUDE + x_m / (_METRES_PER_DEGREE * math.cos(math.radians(LATITUDE)))
    return f"{latitude:.6f}", f"{longitude:.6f}"


def _serials(random_: random.Random) -> Iterator[str]:
    """Serial numbers as opaque as real ones, none twice."""
    taken: set[int] = set()
    while True:
        serial = random_.getrandbits(24)
        if serial not in taken:
            taken.add(serial)
            yield f"{serial:06x}"


def _csv(header: str, rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return out.getvalue()
