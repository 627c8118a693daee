"""Who is told what, under which topic; and the documents that leave, against their published schemas."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post import ACKNOWLEDGED, CLEARED, RAISED, mqtt_recipient, rows_for, webhook_recipient

from gateway.alarms import AlarmState
from gateway.errors import ConfigurationError
from gateway.model import Severity
from gateway.notify.cloudevents import event
from gateway.notify.dispatch import state_row, topic_of
from gateway.vocabulary.kind import Delivery

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def load(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def validate(document: Any, name: str) -> None:
    validator = jsonschema.Draft202012Validator(
        load(name), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(document)


def test_an_mqtt_recipient_gets_the_event_and_then_the_retained_state() -> None:
    told, state = rows_for(RAISED, [mqtt_recipient()])
    assert (told.topic, told.retain) == ("ioc/events/hoa-phu/minor", False)
    assert (state.topic, state.retain) == ("ioc/alarms/hoa-phu/LP1/lampFailure", True)
    assert json.loads(state.body) == json.loads(told.body)["data"] == RAISED.document()
    assert told.key != state.key


def test_the_state_of_a_normal_alarm_is_deleted_by_an_empty_message() -> None:
    _, state = rows_for(CLEARED, [mqtt_recipient()])
    assert (state.body, state.retain) == (b"", True)
    unseen = replace(CLEARED, state=AlarmState.RETURNED)
    assert json.loads(state_row(unseen, mqtt_recipient()).body)["state"] == "returned"


def test_a_webhook_gets_the_event_alone() -> None:
    (row,) = rows_for(RAISED, [webhook_recipient()])
    assert (row.topic, row.content_type) == ("", "application/cloudevents+json")


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"areas": frozenset({"hoa-phu"})}, True),
        ({"areas": frozenset({"city"})}, True),  # an area of its own lies in it
        ({"areas": frozenset({"elsewhere"})}, False),
        ({"deliveries": frozenset({Delivery.MORNING})}, True),
        ({"deliveries": frozenset({Delivery.WAKE})}, False),
        ({"categories": frozenset({"Infra"})}, True),
        ({"categories": frozenset({"Env", "Met"})}, False),
        ({"severities": frozenset({Severity.MINOR})}, True),
        ({"severities": frozenset({Severity.CRITICAL})}, False),
    ],
)
def test_recipients_are_told_of_what_is_their_business(filters: dict[str, Any], wanted: bool) -> None:
    assert bool(rows_for(RAISED, [webhook_recipient(**filters)])) is wanted


def test_everybody_hears_of_the_gateways_own_alarms() -> None:
    own = replace(RAISED, area="", asset="gateway", type="dataGap")
    (told, state) = rows_for(own, [mqtt_recipient(areas=frozenset({"elsewhere"}))])
    assert (told.topic, state.topic) == ("ioc/events/_/minor", "ioc/alarms/_/gateway/dataGap")


def test_a_data_gap_leaves_as_a_gap_and_what_becomes_of_it_as_an_alarm() -> None:
    gap = replace(RAISED, area="", asset="gateway", type="dataGap")
    seen = replace(gap, transition=3, event="acknowledged")
    types = [json.loads(rows_for(own, [webhook_recipient()])[0].body)["type"] for own in (gap, seen)]
    assert types == ["vn.citylight.gap", "vn.citylight.alarm.acknowledged"]


def test_the_same_transition_always_gives_the_same_rows() -> None:
    recipients = [mqtt_recipient(), webhook_recipient()]
    assert rows_for(RAISED, recipients) == rows_for(replace(RAISED), recipients)


def test_states_of_successive_alarms_of_one_point_keep_their_order() -> None:
    later = replace(RAISED, id="another")
    assert state_row(RAISED, mqtt_recipient()).alarm_id == state_row(later, mqtt_recipient()).alarm_id


@given(st.text(), st.text(), st.text())
def test_no_text_breaks_out_of_its_topic_level(area: str, asset: str, kind: str) -> None:
    topic = topic_of("ioc/alarms/{area}/{asset}/{type}", replace(RAISED, area=area, asset=asset, type=kind))
    levels = topic.split("/")
    assert len(levels) == 5
    assert all(levels)
    assert not set(topic) & set("+#\0")


@pytest.mark.parametrize(
    "pattern", ["ioc/+/x", "ioc/#", "", "ioc/{colour}", "ioc/{", "$SYS/{area}", "{area.x}"]
)
def test_a_pattern_that_is_no_topic_is_a_configuration_error(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="event_topic"):
        mqtt_recipient(event_topic=pattern)


@pytest.mark.parametrize("alarm", [RAISED, ACKNOWLEDGED, CLEARED, replace(RAISED, feeder="", value=None)])
def test_what_leaves_follows_the_published_schemas(alarm: Any) -> None:
    validate(alarm.document(), "alarm.schema.json")
    document = event(alarm, "urn:citylight:test", Delivery.MORNING)
    validate({k: v for k, v in document.items() if k != "data"} | {"data": {}}, "cloudevent.schema.json")
    validate(document["data"], "alarm.schema.json")


def test_the_examples_follow_the_schemas_and_are_what_the_code_writes() -> None:
    assert load("alarm.example.json") == RAISED.document()
    assert load("cloudevent.example.json") == event(CLEARED, "urn:citylight:test", Delivery.MORNING)
    validate(load("alarm.example.json"), "alarm.schema.json")
    validate(load("cloudevent.example.json"), "cloudevent.schema.json")


@pytest.mark.parametrize("change", [{"severity": "bad"}, {"state": "gone"}, {"transition": 0}, {"extra": 1}])
def test_the_alarm_schema_refuses_what_is_not_an_alarm(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(RAISED.document() | change, "alarm.schema.json")
