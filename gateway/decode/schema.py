"""The keys a profile file may hold, table by table, typed. In: a parsed TOML document. Out: validated tables.

Knows types, required keys and bounds of single values only; what must agree between keys is checked in
``profile``, ``values`` and ``rules``. Never reads a file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from gateway.model import FieldKind, Severity, When
from gateway.watches import WatchKind

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,63}$"
IDENTIFIER_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
TYPE_PATTERN = r"^[a-z][A-Za-z0-9]{0,63}$"

FIELDS_MAX = 64
RULES_MAX = 200
OVERRIDES_MAX = 200
RECORDS_MAX_LIMIT = 4096

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Identifier = Annotated[str, Field(pattern=IDENTIFIER_PATTERN)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
TagValue = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f\\]{1,128}$")]
TimeFormat = Literal["epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "iso8601"]
Side = Literal["mains", "light_source"]


class Table(BaseModel):
    """A TOML table: unknown keys and lenient conversions are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TitleTable(Table):
    vi: Annotated[str, Field(min_length=1, max_length=120)]
    en: Annotated[str, Field(min_length=1, max_length=120)]


class TimeTable(Table):
    field: str | None = None
    format: TimeFormat = "epoch_ms"
    zone: str | None = None
    window_past_s: Annotated[float, Field(ge=0, le=366 * 86_400)] = 172_800.0
    window_future_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0


class FieldTable(Table):
    name: Identifier
    path: Annotated[str, Field(min_length=1, max_length=200)]
    type: Annotated[FieldKind, Strict(False)]
    unit: str = ""
    source_unit: str | None = None
    scale: FiniteFloat | None = None
    offset: FiniteFloat | None = None
    sentinels: Annotated[list[FiniteFloat], Field(max_length=32)] = []
    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    map: Annotated[dict[str, str | bool], Field(min_length=1, max_length=256)] | None = None
    text_number: bool = False
    side: Side | None = None


class RuleTable(Table):
    type: Annotated[str, Field(pattern=TYPE_PATTERN)]
    field: Identifier
    severity: Annotated[Severity, Strict(False)]
    raise_above: FiniteFloat | None = None
    clear_below: FiniteFloat | None = None
    raise_below: FiniteFloat | None = None
    clear_above: FiniteFloat | None = None
    raise_when: bool | str | None = None
    hold_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 0.0
    samples_min: Annotated[int, Field(ge=1, le=100)] = 1
    when: Annotated[When, Strict(False)] = When.ALWAYS
    of_expected: bool = False
    unless: Annotated[list[Annotated[str, Field(pattern=TYPE_PATTERN)]], Field(max_length=8)] = []
    learned: bool = False
    heads: bool = False
    recorded: bool = False
    unit: str | None = None  # if written, it must be the field's


class WatchTable(Table):
    """What goes with which kind is checked in ``watches``."""

    type: Annotated[str, Field(pattern=TYPE_PATTERN)]
    kind: Annotated[WatchKind, Strict(False)]
    fields: Annotated[list[Identifier], Field(min_length=1, max_length=FIELDS_MAX)] | None = None
    severity: Annotated[Severity | None, Strict(False)] = None
    regulation: Name | None = None
    zone: Identifier | None = None
    limit: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    share: Annotated[float | None, Field(ge=0, le=10)] = None
    margin: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    over_h: Annotated[float | None, Field(gt=0, le=7 * 24)] = None
    floor: FiniteFloat | None = None
    humidity_max: Annotated[float | None, Field(gt=0, le=100)] = None


class DistrictRuleTable(RuleTable):
    """A rule of ``rules.toml``, on top of those of its profile."""

    profile: Name


class OverrideTable(Table):
    """Other limits for a rule where it applies; what is not written stays as the profile has it."""

    rule: Annotated[str, Field(pattern=TYPE_PATTERN)]
    field: Identifier | None = None
    when: Annotated[When | None, Strict(False)] = None
    profile: Name | None = None
    area: str | None = None
    cabinet: str | None = None
    feeder: str | None = None
    asset: str | None = None
    enabled: bool = True
    severity: Annotated[Severity | None, Strict(False)] = None
    raise_above: FiniteFloat | None = None
    clear_below: FiniteFloat | None = None
    raise_below: FiniteFloat | None = None
    clear_above: FiniteFloat | None = None
    hold_s: Annotated[float | None, Field(ge=0, le=7 * 86_400)] = None
    samples_min: Annotated[int | None, Field(ge=1, le=100)] = None
    unit: str | None = None
    zone: Identifier | None = None  # this and the following: of a [[watch]]
    limit: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    share: Annotated[float | None, Field(ge=0, le=10)] = None
    margin: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    over_h: Annotated[float | None, Field(gt=0, le=7 * 24)] = None
    floor: FiniteFloat | None = None
    humidity_max: Annotated[float | None, Field(gt=0, le=100)] = None


class RulebookTable(Table):
    rule: Annotated[list[DistrictRuleTable], Field(max_length=RULES_MAX)] = []
    override: Annotated[list[OverrideTable], Field(max_length=OVERRIDES_MAX)] = []
    practice: dict[str, Annotated[float, Field(ge=0, le=7 * 86_400)]] = {}


class ProfileTable(Table):
    name: Name
    device_class: Name
    payload: Literal["json"]
    interval_s: Annotated[float, Field(gt=0, le=7 * 86_400)]
    silence_intervals: Annotated[int, Field(ge=2, le=1000)] = 5
    strict_keys: bool = False
    id_field: str | None = None
    concentrator: bool = False
    records: str | None = None
    records_max: Annotated[int, Field(ge=1, le=RECORDS_MAX_LIMIT)] = 512
    title: TitleTable
    time: TimeTable = TimeTable()
    tags: Annotated[dict[Identifier, TagValue], Field(max_length=16)] = {}
    field: Annotated[list[FieldTable], Field(min_length=1, max_length=FIELDS_MAX)]
    rule: Annotated[list[RuleTable], Field(max_length=RULES_MAX)] = []
    watch: Annotated[list[WatchTable], Field(max_length=RULES_MAX)] = []
