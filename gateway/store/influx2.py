"""InfluxDB 2.x where its own library is good: Flux, health, buckets. In: settings. Out: rows, words.

Blocking: run in a thread. Never writes.
"""

from __future__ import annotations

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.dialect import Dialect
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from gateway.errors import StoreError
from gateway.store.address import InfluxSettings


def ask(settings: InfluxSettings, text: str) -> list[list[str]]:
    """Rows of a Flux query as annotated CSV with times to the ns. Raises StoreError."""
    dialect = Dialect(annotations=["datatype"], date_time_format="RFC3339Nano")  # type: ignore[no-untyped-call]
    try:
        with _client(settings) as client:
            return list(client.query_api().query_csv(text, dialect=dialect))
    except (ApiException, HTTPError, OSError) as error:
        raise StoreError(_words(settings, error), retryable=True) from error


def state(settings: InfluxSettings) -> str | None:
    """None when the server answers and has the bucket, else what is wrong."""
    try:
        with _client(settings) as client:
            if not client.ping():
                return f"{settings.url}: no answer to a ping"
            if client.buckets_api().find_bucket_by_name(settings.database) is None:
                return f"{settings.url}: there is no bucket {settings.database!r}"
    except (ApiException, HTTPError, OSError) as error:
        return _words(settings, error)
    return None


def retention_s(settings: InfluxSettings) -> int:
    """How long the bucket keeps readings; 0 is for ever. Raises StoreError."""
    try:
        with _client(settings) as client:
            bucket = client.buckets_api().find_bucket_by_name(settings.database)
            rules = [] if bucket is None else bucket.retention_rules or []
            return max((int(rule.every_seconds or 0) for rule in rules), default=0)
    except (ApiException, HTTPError, OSError) as error:
        raise StoreError(_words(settings, error), retryable=True) from error


def _client(settings: InfluxSettings) -> InfluxDBClient:
    return InfluxDBClient(
        url=settings.url,
        token=settings.secret(),
        org=settings.organisation,
        timeout=int(settings.timeout_s * 1000),
        ssl_ca_cert=None if settings.ca_file is None else str(settings.ca_file),
    )


def _words(settings: InfluxSettings, error: Exception) -> str:
    reason = error.reason if isinstance(error, ApiException) else str(error)
    return f"{settings.url}: {type(error).__name__}: {reason}"
