"""What answers mean, against golden ones; the recorded ones are compared with the servers of today."""

import json
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from recorder import ANSWERS, record_influx1, record_victoriametrics

from gateway.store.answer import TABLES, Dialect, Outcome, classify, thrown_away

EXPECTED = {
    ("influx1", "written"): ("written", "written"),
    ("influx1", "type conflict"): ("partly_written", "type_conflict"),
    ("influx1", "unable to parse"): ("partly_written", "unparsable"),
    ("influx1", "time out of range"): ("partly_written", "unparsable"),
    ("influx1", "no such database"): ("refused", "database_missing"),
    ("influx1", "no such retention policy"): ("refused", "retention_policy_missing"),
    ("influx1", "beyond retention"): ("too_old", "too_old"),
    ("influx1", "too large"): ("too_large", "too_large"),
    ("influx2", "written"): ("written", "written"),
    ("influx2", "malformed line, all rejected"): ("partly_written", "unparsable"),
    ("influx2", "type conflict, rest stored"): ("partly_written", "type_conflict"),
    ("influx2", "beyond retention"): ("too_old", "too_old"),
    ("influx2", "unknown refusal"): ("malformed", "refused_line"),
    ("influx2", "no token"): ("refused", "not_authorised"),
    ("influx2", "no such bucket"): ("refused", "bucket_missing"),
    ("influx2", "no such organisation"): ("refused", "organisation_missing"),
    ("influx2", "too large"): ("too_large", "too_large"),
    ("influx2", "too many requests"): ("overloaded", "overloaded"),
    ("influx2", "unavailable until a date"): ("overloaded", "overloaded"),
    ("influx2", "internal error"): ("overloaded", "server_error"),
    ("influx2", "a proxy's page"): ("refused", "unexpected_answer"),
    ("influx3", "written"): ("written", "written"),
    ("influx3", "partly written"): ("partly_written", "refused_line"),
    ("influx3", "all refused"): ("partly_written", "unparsable"),
    ("influx3", "no token"): ("refused", "not_authorised"),
    ("influx3", "no such database"): ("refused", "database_missing"),
    ("influx3", "too many tables"): ("refused", "limit_reached"),
    ("influx3", "too large"): ("too_large", "too_large"),
    ("influx3", "restarting"): ("overloaded", "overloaded"),
    ("victoriametrics", "written"): ("written", "written"),
    ("victoriametrics", "bad line, and still 204"): ("written", "written"),
    ("victoriametrics", "too long a line"): ("too_large", "too_large"),
}


def golden(dialect: str) -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = json.loads((ANSWERS / f"{dialect}.json").read_text("utf-8"))[
        "answers"
    ]
    return answers


def read(dialect: str, name: str) -> Any:
    answer = golden(dialect)[name]
    return classify(
        Dialect(dialect), answer["status"], CIMultiDict(answer["headers"]), answer["body"].encode()
    )


@pytest.mark.parametrize("dialect", TABLES)
def test_every_golden_answer_is_understood(dialect: str) -> None:
    found = {
        (dialect, name): (read(dialect, name).outcome, read(dialect, name).reason) for name in golden(dialect)
    }
    assert found == {key: meaning for key, meaning in EXPECTED.items() if key[0] == dialect}


@pytest.mark.parametrize(
    ("dialect", "record"), [("influx1", record_influx1), ("victoriametrics", record_victoriametrics)]
)
def test_recorded_answers_are_what_the_servers_say(dialect: str, record: Any, tmp_path: Path) -> None:
    def gist(answers: dict[str, dict[str, Any]]) -> dict[str, tuple[int, str]]:
        return {name: (answer["status"], answer["body"]) for name, answer in answers.items()}

    assert gist(record(tmp_path)) == gist(golden(dialect))


def test_conflict_and_count_are_read_from_the_words() -> None:
    answer = read("influx1", "type conflict")
    assert (answer.dropped, answer.conflict) == (1, ("m", "f"))
    assert answer.words.startswith('HTTP 400 partial write: field type conflict: input field "f"')


def test_lines_named_by_number_are_read() -> None:
    ((number, words),) = read("influx3", "partly written").named
    assert number == 2
    assert words.startswith("invalid column type")


def test_retry_after_is_read_as_seconds_and_as_a_date_and_bounded() -> None:
    assert read("influx2", "too many requests").retry_after_s == 17
    assert read("influx2", "unavailable until a date").retry_after_s == 40
    assert classify(Dialect.INFLUX2, 429, {"Retry-After": "999999999"}, b"").retry_after_s == 300
    assert classify(Dialect.INFLUX2, 429, {"Retry-After": "soon"}, b"").retry_after_s is None


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"[]", b'{"error":1,"data":[1,{"line_number":"x"}]}', b"{", b"\n\x00"]
)
@pytest.mark.parametrize("dialect", TABLES)
def test_garbage_is_an_answer_too(dialect: Dialect, body: bytes) -> None:
    answer = classify(dialect, 400, {}, body)
    assert answer.outcome is Outcome.MALFORMED
    assert answer.words.isprintable()


def test_rows_thrown_away_are_added_up() -> None:
    metrics = (
        'vm_rows_inserted_total{type="influx"} 9\nvm_rows_invalid_total{type="influx"} 2\n'
        'vm_rows_invalid_total{type="graphite"} 7\nvm_rows_ignored_total{reason="big_timestamp"} 3\n'
        'vm_rows_ignored_total{reason="nan_value"} 1e2\n'
    )
    assert thrown_away(metrics) == 105
