"""Lets these tests run a gateway process: ``plant`` is what the tests of the whole way use, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "end_to_end"))

from plant import Plant
from servers import InfluxDB, Mosquitto, Server


@pytest.fixture
def plant_of(tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    """``plant_of(broker, store, **sections)``: a gateway that is not yet started; without a store, DuckDB."""
    with ExitStack() as stack:

        def prepare(
            broker: Mosquitto | None, server: Server | None = None, /, *, lamps: int = 3, **sections: Any
        ) -> Plant:
            document = dict(sections)
            if broker is not None:
                document["mqtt"] = {"url": broker.url, **sections.get("mqtt", {})}
            if isinstance(server, InfluxDB):
                where = {"kind": "influx1", "url": server.url, "database": server.database}
                document["store"] = {**where, **sections.get("store", {})}
            plant = Plant(tmp_path / "plant", document, lamps=lamps)
            stack.callback(plant.kill)
            return plant

        yield prepare
