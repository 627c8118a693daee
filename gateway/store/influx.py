"""InfluxDB 1.x, 2.x, 3.x and VictoriaMetrics over HTTP. In: batches. Out: what became of them.

Sends the same bytes again after an unknown outcome and never drops. Never raises for an answer of the
server's: ``pause`` says why nothing was taken. Times are always nanoseconds, proved once by ``probe``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp

from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.fleet import Fleet
from gateway.model import Counts, ProfileSpec, ReadingBatch
from gateway.store import history
from gateway.store.address import InfluxSettings, authorization, write_address
from gateway.store.answer import Answer, Dialect, Outcome, classify, thrown_away
from gateway.store.delivery import Delivery
from gateway.store.history import Question
from gateway.store.line_protocol import Lines, LineWriter, check_names
from gateway.store.outcome import Position, Sample, WriteOutcome
from gateway.store.packing import gzip
from gateway.store.retention import HOUR_NS, Retention, of_metrics, of_policies
from gateway.store.twins import MillisecondTwins

ANSWER_BYTES_MAX: Final = 64 * 1024
HISTORY_BYTES_MAX: Final = 64 * 1024 * 1024
VISIBLE_S_MAX: Final = 20.0
VISIBLE_POLL_S: Final = 0.1
REFUSED_RETRY_S: Final = 30.0
RETRY_S_MIN: Final = 0.5
RETRY_S_MAX: Final = 30.0
THREAD_BYTES_MIN: Final = 16 * 1024
"""Smaller bodies are compressed on the spot: a thread costs more."""


class InfluxStore:
    """A ``Store`` whose cursor lives in state.db."""

    owns_cursor = False

    def __init__(self, settings: InfluxSettings, profiles: Sequence[ProfileSpec], clock: Clock) -> None:
        for profile in profiles:
            check_names(profile)
        self._settings = settings
        self._dialect = settings.dialect
        self._profiles = {profile.name: profile for profile in profiles}
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._writer: LineWriter | None = None
        self._twins: MillisecondTwins | None = None
        self._failures = 0
        self._probe_line = b""
        self._thrown_away: int | None = None
        self._retention = Retention(int(settings.retention_h * HOUR_NS) or None)
        self._looked_ns = 0

    async def position(self) -> Position | None:
        return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- write ---------------------------------------------------------------------------------------

    async def write(
        self,
        batches: Sequence[ReadingBatch],
        *,
        fleet: Fleet,
        cursor: int,  # noqa: ARG002 - the caller keeps it
        counts: Counts,  # noqa: ARG002
    ) -> WriteOutcome:
        """See ``Store.write``."""
        self._profiles.update((batch.profile.name, batch.profile) for batch in batches)
        lines = await asyncio.to_thread(self._writer_for(fleet).lines, batches)
        settings = self._settings
        delivery = Delivery(lines, fleet, lines_max=settings.lines_max, bytes_max=settings.bytes_max)
        oldest_ns = self._retention.oldest_ns(self._clock.monotonic_ns())
        if oldest_ns is not None:
            delivery.withhold(oldest_ns, self._retention.refusal())
        if self._dialect is Dialect.VICTORIAMETRICS:
            await self._look_for_losses(first=True)
        while (request := delivery.request) is not None:
            delivery.answered(await self._post(request.body))
            if delivery.doubt is not None:
                delivery.request_is_good(await self._good_line_passes())
        if delivery.pause is not None:
            return self._paused(delivery.pause)
        self._failures = 0
        await self._look_at_retention()
        return await self._taken(lines, delivery.outcome)

    def _writer_for(self, fleet: Fleet) -> LineWriter:
        if self._writer is None or self._writer.places.fleet is not fleet:
            self._writer = LineWriter(fleet, numbers_only=self._dialect is Dialect.VICTORIAMETRICS)
            self._twins = MillisecondTwins(len(fleet.devices))
        return self._writer

    def _paused(self, answer: Answer) -> WriteOutcome:
        back_off_s = min(RETRY_S_MAX, RETRY_S_MIN * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        if answer.outcome in (Outcome.REFUSED, Outcome.MALFORMED):
            back_off_s = REFUSED_RETRY_S
        wait_s = back_off_s if answer.retry_after_s is None else answer.retry_after_s
        return WriteOutcome(pause=f"{answer.reason}: {answer.words}", retry_after_s=wait_s)

    async def _taken(self, lines: Lines, outcome: WriteOutcome) -> WriteOutcome:
        if self._dialect is not Dialect.VICTORIAMETRICS:
            return outcome
        assert self._twins is not None
        collisions = self._twins.count(lines.device, lines.time_ns)
        self._twins.remember(lines.device, lines.time_ns)
        lost = await self._look_for_losses()
        return WriteOutcome(outcome.stored, outcome.rejects, thrown_away=lost, collisions=collisions)

    async def _look_for_losses(self, *, first: bool = False) -> int:
        """Rows thrown away since the last look, at most every ``loss_check_s``; 0 where none can be seen."""
        now_ns = self._clock.monotonic_ns()
        known = self._thrown_away
        if first and known is not None:
            return 0
        if known is not None and now_ns - self._looked_ns < self._settings.loss_check_s * 1e9:
            return 0
        try:
            total = thrown_away((await self._get("/metrics", {})).decode("utf-8", "replace"))
        except StoreError:
            return 0
        self._thrown_away, self._looked_ns = total, now_ns
        if known is None:
            return 0
        return total - known if total >= known else total  # the server began to count anew

    async def _look_at_retention(self) -> None:
        """Ask the server how long it keeps readings, now and then; what can not be asked is as it was."""
        now_ns = self._clock.monotonic_ns()
        if self._settings.retention_h or not self._retention.due(now_ns):
            return
        self._retention.looked_ns = now_ns
        with contextlib.suppress(StoreError):
            self._retention.period_ns = await self._ask_retention()

    async def _ask_retention(self) -> int | None:
        settings = self._settings
        match self._dialect:
            case Dialect.INFLUX1:
                answer = await self._ask_influxql(history.influxql_policies(settings.database))
                return of_policies(answer, settings.retention_policy)
            case Dialect.INFLUX2:
                from gateway.store.influx2 import retention_s

                return await asyncio.to_thread(retention_s, settings) * 1_000_000_000
            case Dialect.VICTORIAMETRICS:
                return of_metrics((await self._get("/metrics", {})).decode("utf-8", "replace"))
            case _:
                return None  # 3.x has no way to ask

    async def _good_line_passes(self) -> bool:
        """Whether a line beyond doubt is taken: if not, the request is at fault and not its lines."""
        return (await self._post(self._probe_point(self._clock.wall_ns()))).outcome is Outcome.WRITTEN

    async def _post(self, body: bytes) -> Answer:
        compressed = await asyncio.to_thread(gzip, body) if len(body) >= THREAD_BYTES_MIN else gzip(body)
        path, query = write_address(self._settings)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        try:
            async with self._opened().post(
                path, params=query, data=compressed, headers=headers, allow_redirects=False
            ) as response:
                words = await response.content.read(ANSWER_BYTES_MAX)
                answer = classify(self._dialect, response.status, response.headers, words)
                self._retention.heard(response.headers.get("Date", ""), self._clock.monotonic_ns())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Answer(Outcome.UNKNOWN, "unreachable", f"{type(error).__name__}: {error}".rstrip(": "))
        if answer.reason == "not_authorised":
            await self.close()
        return answer

    # --- read ------------------------------------------------------------------------------------------

    async def history(
        self, device: str, field: str, start_ns: int, end_ns: int, every_s: float | None = None
    ) -> list[Sample]:
        kinds = history.kinds(self._profiles.values())
        asked = history.question(kinds, device, field, start_ns, end_ns, every_s)
        match self._dialect:
            case Dialect.VICTORIAMETRICS:
                samples = await self._from_victoria(asked)
            case Dialect.INFLUX2:
                text = history.flux(asked, self._settings.database)
                samples = history.flux_samples(await self._ask_flux(text), asked.every_ns)
            case _:
                text = history.influxql(asked, self._settings.retention_policy)
                samples = history.influxql_samples(await self._ask_influxql(text), real=asked.real)
        return history.bounded(samples)

    async def _from_victoria(self, asked: Question) -> list[Sample]:
        fields = {
            f"{profile.device_class}_{one.name}": one
            for profile in self._profiles.values()
            for one in profile.numeric
        }
        match = history.victoria_match(asked, {profile.device_class for profile in self._profiles.values()})
        span = {"start": f"{asked.start_ns // 1_000_000 / 1000:.3f}", "end": f"{asked.end_ns / 1e9:.3f}"}
        body = await self._get("/api/v1/export", {"match[]": match, **span})
        return history.victoria_samples(body, asked, fields)

    async def _ask_influxql(self, text: str) -> bytes:
        return await self._get("/query", {"db": self._settings.database, "q": text, "epoch": "ns"})

    async def _ask_flux(self, text: str) -> list[list[str]]:
        from gateway.store.influx2 import ask  # its library costs 23 MB, which only 2.x shall pay

        return await asyncio.to_thread(ask, self._settings, text)

    async def _get(self, path: str, query: Mapping[str, str]) -> bytes:
        """Body of a GET. Raises StoreError."""
        try:
            async with self._opened().get(path, params=query, allow_redirects=False) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > HISTORY_BYTES_MAX:
                        raise StoreError(f"{path}: the answer is too long", retryable=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            problem = f"{self._settings.url}{path}: {type(error).__name__}: {error}".rstrip(": ")
            raise StoreError(problem, retryable=True) from error
        if response.status != 200:
            if response.status in (401, 403):
                await self.close()
            answer = classify(self._dialect, response.status, response.headers, bytes(body))
            raise StoreError(f"{self._settings.url}{path}: {answer.words}", retryable=True)
        return bytes(body)

    # --- is it well ------------------------------------------------------------------------------------

    async def health(self) -> str | None:
        """See ``Store.health``: reachable, authorised, and the database or bucket is there."""
        try:
            match self._dialect:
                case Dialect.VICTORIAMETRICS:
                    await self._get("/health", {})
                case Dialect.INFLUX2:
                    from gateway.store.influx2 import state

                    return await asyncio.to_thread(state, self._settings)
                case _:
                    history.influxql_samples(
                        await self._ask_influxql(history.influxql_probe(0, self._settings.retention_policy))
                    )
        except StoreError as error:
            return str(error)
        return None

    async def probe(self) -> None:
        """Write one point and read it back: same time to the ns (VictoriaMetrics: ms). Raises StoreError."""
        sent_ns = self._clock.wall_ns() | 1  # so that a store that cuts to µs is found out
        if self._dialect is Dialect.VICTORIAMETRICS:
            sent_ns -= sent_ns % 1_000_000
        answer = await self._post(self._probe_point(sent_ns))
        if answer.outcome is not Outcome.WRITTEN:
            mendable = answer.outcome in (Outcome.UNKNOWN, Outcome.OVERLOADED)
            raise StoreError(
                f"{self._settings.url} refused a probe point: {answer.words}", retryable=mendable
            )
        stored = await self._probe_times(sent_ns)
        if sent_ns not in stored:
            where = f"read back at {stored[0]}" if stored else "could not be read back"
            problem = f"a point written at {sent_ns} ns {where}: times are not taken as nanoseconds"
            raise StoreError(f"{self._settings.url}: {problem}", retryable=False)
        await self._look_at_retention()

    async def _probe_times(self, sent_ns: int) -> list[int]:
        """The times at which the store shows the probe point; waits until it is visible."""
        if self._dialect is Dialect.VICTORIAMETRICS:
            with contextlib.suppress(StoreError):  # a shortcut: without it new points show after some 10 s
                await self._get("/internal/force_flush", {})
        mark = sent_ns // 1_000_000
        deadline_ns = self._clock.monotonic_ns() + int(VISIBLE_S_MAX * 1e9)
        while True:
            times = [time for time, value in await self._probe_samples(mark) if value == mark]
            if times or self._clock.monotonic_ns() > deadline_ns:
                return times
            await asyncio.sleep(VISIBLE_POLL_S)

    async def _probe_samples(self, mark: int) -> list[Sample]:
        match self._dialect:
            case Dialect.VICTORIAMETRICS:
                query = {"match[]": f"{history.PROBE}_sent", "start": "0"}
                everything = Question("", "sent", -(2**63), 2**63 - 1)
                return history.victoria_samples(await self._get("/api/v1/export", query), everything, {})
            case Dialect.INFLUX2:
                text = history.flux_probe(self._settings.database, mark)
                return history.flux_samples(await self._ask_flux(text), 0)
            case _:
                return history.influxql_samples(
                    await self._ask_influxql(history.influxql_probe(mark, self._settings.retention_policy))
                )

    def _probe_point(self, time_ns: int) -> bytes:
        return f"{history.PROBE} sent={time_ns // 1_000_000}i {time_ns}\n".encode()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            tls = (
                ssl.create_default_context(cafile=settings.ca_file)
                if settings.url.startswith("https")
                else True
            )
            self._session = aiohttp.ClientSession(
                base_url=settings.url.rstrip("/") + "/",
                headers=authorization(settings),
                timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
                connector=aiohttp.TCPConnector(ssl=tls, limit=4),
            )
        return self._session
