"""docs/profiles.md names every key, unit, quality and reason there is."""

from pathlib import Path

import pytest

from gateway.decode import schema, units
from gateway.decode.profile import load
from gateway.decode.samples import REASONS

TEXT = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
WORDS = {word for part in TEXT.split("`")[1::2] for word in part.replace(",", " ").split()}


@pytest.mark.parametrize(
    "table",
    [
        schema.ProfileTable,
        schema.TimeTable,
        schema.FieldTable,
        schema.RuleTable,
        schema.TitleTable,
        schema.WatchTable,
    ],
)
def test_every_key_is_documented(table: type[schema.Table]) -> None:
    tables = {"title", "time", "tags", "field", "rule", "watch"}
    assert {key for key in table.model_fields if key not in WORDS and key not in tables} == set()


def test_every_unit_and_reason_is_documented() -> None:
    assert set(units.UNITS) - WORDS == set()
    assert set(REASONS) - WORDS == set()


def test_shortest_profile_of_the_page_loads() -> None:
    text = TEXT.split("```toml\n")[1].split("```")[0]
    assert load(text, "docs/profiles.md").name == "rain-gauge"
