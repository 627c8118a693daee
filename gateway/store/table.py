"""Tables of the embedded store: one a device class. In: an open DuckDB connection, blocks. Out: rows.

Columns follow the profiles: added when a profile gains a field, widened and never narrowed when its type
changes. Every name and text in a statement passes ``identifier`` or ``literal``. Never ends a transaction.
"""

from __future__ import annotations

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from gateway.model import Field, FieldKind, Float64s, ProfileSpec, ReadingBatch
from gateway.store.block import INTEGER_END, Flags, Places, clean, labels
from gateway.store.history import SAMPLES_MAX, Question
from gateway.store.outcome import Sample

Tables = dict[str, dict[str, str]]
"""Column types by table and column, as DuckDB names them."""

COMMON: Final = {
    "time": "TIMESTAMP_NS",
    "device": "VARCHAR",
    "area": "VARCHAR",
    "feeder": "VARCHAR",
    "profile": "VARCHAR",
    "received_at": "TIMESTAMP_NS",
    "quality": "VARCHAR",
}
TYPES: Final = {
    FieldKind.FLOAT: "DOUBLE",
    FieldKind.INTEGER: "BIGINT",
    FieldKind.BOOLEAN: "BOOLEAN",
    FieldKind.ENUM: "VARCHAR",
    FieldKind.TEXT: "VARCHAR",
}
DTYPES: Final = {FieldKind.FLOAT: np.float64, FieldKind.INTEGER: np.int64, FieldKind.BOOLEAN: np.bool_}
NUMBERS: Final = frozenset({"DOUBLE", "BIGINT"})


def existing(connection: duckdb.DuckDBPyConnection) -> Tables:
    """What is in the file."""
    tables: Tables = {}
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main'"
    ).fetchall()
    for name, column, kind in rows:
        tables.setdefault(name, {})[column] = kind
    return tables


def insert(
    connection: duckdb.DuckDBPyConnection, tables: Tables, block: ReadingBatch, places: Places
) -> None:
    """Append a block; ``tables`` is kept up to date."""
    profile = block.profile
    columns = _fitting(connection, tables, profile)
    arrays = _arrays(block, places)
    # Plain columns and constants: planning an expression a field costs more than a thousand rows.
    chosen = {name: identifier(name) for name in arrays} | {"profile": literal(profile.name)}
    chosen |= {key: literal(value) for key, value in profile.tags}
    kinds = COMMON | {field.name: TYPES[field.kind] for field in (*profile.numeric, *profile.texts)}
    for name, text in chosen.items():
        if kinds.get(name, "VARCHAR") != columns[name]:
            chosen[name] = f"CAST({text} AS {columns[name]})"
    names = ", ".join(identifier(name) for name in chosen)
    connection.register("block", arrays)
    try:
        connection.execute(
            f"INSERT INTO {identifier(profile.device_class)} ({names})"  # noqa: S608
            f" SELECT {', '.join(chosen.values())} FROM block"
        )
    finally:
        connection.unregister("block")


def trim(connection: duckdb.DuckDBPyConnection, tables: Tables, before_ns: int) -> None:
    """Delete rows with an earlier time."""
    for name in tables:
        earlier = f"DELETE FROM {identifier(name)} WHERE time < make_timestamp_ns(?)"  # noqa: S608
        connection.execute(earlier, [before_ns])


def samples(connection: duckdb.DuckDBPyConnection, tables: Tables, asked: Question) -> list[Sample]:
    """The answer to ``asked`` over all tables that have the column; order within a table is by time."""
    found: list[Sample] = []
    for name, columns in tables.items():
        if asked.field not in columns:
            continue
        value = identifier(asked.field)
        time = "epoch_ns(time)"
        if asked.every_ns:
            time = f"(({time} // {asked.every_ns}) * {asked.every_ns})"
            mean = asked.mean and columns[asked.field] in NUMBERS
            value = f"avg({value})" if mean else f"arg_max({value}, time)"
        found += connection.execute(
            f"SELECT {time} AS moment, {value} FROM {identifier(name)} WHERE device = ?"  # noqa: S608
            " AND time >= make_timestamp_ns(?) AND time < make_timestamp_ns(?)"
            f" AND {identifier(asked.field)} IS NOT NULL"
            f" {'GROUP BY moment' if asked.every_ns else ''} ORDER BY moment LIMIT {SAMPLES_MAX + 1}",
            [asked.device, asked.start_ns, asked.end_ns],
        ).fetchall()
    return found


def identifier(name: str) -> str:
    """A quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted SQL text."""
    return "'" + text.replace("'", "''") + "'"


def wider(old: str, new: str) -> str:
    """The column type that holds both without loss."""
    if old == new:
        return old
    return "DOUBLE" if {old, new} == NUMBERS else "VARCHAR"


def _fitting(connection: duckdb.DuckDBPyConnection, tables: Tables, profile: ProfileSpec) -> dict[str, str]:
    """Columns of the profile's table, made to fit the profile."""
    name = identifier(profile.device_class)
    wanted = COMMON | {key: "VARCHAR" for key, _ in profile.tags}
    wanted |= {field.name: TYPES[field.kind] for field in (*profile.numeric, *profile.texts)}
    columns = dict(tables.get(profile.device_class, {}))
    if not columns:
        listed = ", ".join(f"{identifier(column)} {kind}" for column, kind in wanted.items())
        connection.execute(f"CREATE TABLE {name} ({listed})")
        columns = wanted
    for column, kind in wanted.items():
        if column not in columns:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN {identifier(column)} {kind}")
        elif wider(columns[column], kind) != columns[column]:
            kind = wider(columns[column], kind)
            connection.execute(f"ALTER TABLE {name} ALTER COLUMN {identifier(column)} TYPE {kind}")
        else:
            continue
        columns[column] = kind
    tables[profile.device_class] = columns
    return columns


def _arrays(block: ReadingBatch, places: Places) -> dict[str, npt.NDArray[Any]]:
    """The columns of a block as DuckDB takes them: masked where there is no value."""
    asset = places.assets(block)
    arrays: dict[str, npt.NDArray[Any]] = {
        "time": block.time_ns.astype("datetime64[ns]"),
        "received_at": block.received_ns.astype("datetime64[ns]"),
        "device": places.devices(block.device),
        "area": places.areas(asset),
        "feeder": places.feeders(asset),
        "quality": Flags(block.profile).of(block.quality),
    }
    for field, row in zip(block.profile.numeric, block.values, strict=True):
        arrays[field.name] = _numbers(field, row)
    for field in block.profile.texts:
        arrays[field.name] = clean(block.texts[field.name]).to_numpy().astype(object)
    return arrays


def _numbers(field: Field, row: Float64s) -> npt.NDArray[Any]:
    if field.kind is FieldKind.ENUM:
        return labels(row, field.labels).to_numpy().astype(object)
    missing = ~np.isfinite(row)
    if field.kind is FieldKind.INTEGER:
        missing |= np.abs(row) >= INTEGER_END
    values = np.where(missing, 0.0, row) if missing.any() else row
    return np.ma.masked_array(values.astype(DTYPES[field.kind]), missing)
