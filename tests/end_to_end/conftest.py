"""Lets the tests of the whole way share ``plant``; a gateway process that ends with its test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plant import Plant
from servers import InfluxDB, Mosquitto, Server, VictoriaMetrics


@pytest.fixture
def plant_on(tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    """``plant_on(broker, store, **sections)``: a gateway between them, not yet started."""
    with ExitStack() as stack:

        def prepare(
            broker: Mosquitto | None, store: Server | None, /, *, lamps: int = 3, **sections: Any
        ) -> Plant:
            document = dict(sections)
            if broker is not None:
                document["mqtt"] = {"url": broker.url, **sections.get("mqtt", {})}
            if isinstance(store, InfluxDB):
                where = {"kind": "influx1", "url": store.url, "database": store.database}
                document["store"] = {**where, **sections.get("store", {})}
            if isinstance(store, VictoriaMetrics):
                where = {"kind": "victoriametrics", "url": store.url}
                document["store"] = {**where, **sections.get("store", {})}
            plant = Plant(tmp_path / "plant", document, lamps=lamps)
            stack.callback(plant.kill)
            return plant

        yield prepare
