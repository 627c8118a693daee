"""Which device a topic belongs to, and what it carries. In: topics. Out: one integer code a topic.

Patterns are settings, as ``city/<area>/<class>/<device>/up``. The area in a topic is a label and is not
checked (decision D6); the class must be that of the device's profile. Never looks at a payload.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from gateway.decode.profile import Profile
from gateway.decode.samples import DETAIL_CHARACTERS_MAX, Refused
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import Int64s

UNROUTED: Final = -1
"""Code of a topic that leads to no device; ``Routes.explain`` says why. Others: ``2 * row + is_status``."""

TOPICS_MAX_PER_DEVICE: Final = 4
TOPICS_MAX_FLOOR: Final = 1024

DEVICE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_PLACEHOLDERS: Final = {"<area>": "area", "<class>": "class_", "<device>": "device"}


class Routes:
    """Topic to device row, for one fleet and one set of profiles. The cache is emptied when it is full."""

    def __init__(
        self,
        telemetry: str,
        status: str,
        fleet: Fleet,
        profiles: Mapping[str, Profile],
        *,
        file: str = "settings",
    ) -> None:
        """ConfigurationError in ``file``, mqtt.telemetry_topic or mqtt.status_topic, for a bad pattern."""
        self._patterns = (
            (_compile(telemetry, file, "mqtt.telemetry_topic"), 0),
            (_compile(status, file, "mqtt.status_topic"), 1),
        )
        self._row_of, self._profile = fleet.device_row, fleet.device_table.words("profile")
        self._profiles = profiles
        self._codes = _Cache(self)
        self.topics_max = max(TOPICS_MAX_FLOOR, TOPICS_MAX_PER_DEVICE * len(fleet.devices))

    def codes(self, topics: Sequence[str]) -> Int64s:
        """int64[n]: UNROUTED, or 2 * device row + 1 for a status topic, + 0 for telemetry."""
        if len(self._codes) > self.topics_max:
            self._codes.clear()
        return np.fromiter(map(self._codes.__getitem__, topics), np.int64, len(topics))

    def explain(self, topic: str) -> tuple[str, str, str]:
        """(reason, detail, device id or "") of a topic whose code is UNROUTED."""
        try:
            self.route(topic)
        except Refused as refused:
            match = self._match(topic)
            device = match[0]["device"] if match else ""
            return refused.reason, refused.detail, device if DEVICE_ID.fullmatch(device) else ""
        raise AssertionError(f"{topic} has a route")

    def route(self, topic: str) -> int:
        """The code of one topic; Refused where it has none."""
        matched = self._match(topic)
        if matched is None:
            raise Refused("foreign_topic", topic[:DETAIL_CHARACTERS_MAX])
        match, is_status = matched
        device = match["device"]
        if not DEVICE_ID.fullmatch(device):
            raise Refused("bad_id", repr(device))
        row = self._row_of.get(device)
        if row is None:
            raise Refused("unknown_device", device)
        name = self._profile.item(row)
        profile = self._profiles.get(name)
        if profile is None:
            raise Refused("unknown_profile", f"{device} has profile {name}")
        if (named := match.groupdict().get("class_")) is not None and named != profile.device_class:
            raise Refused("class_mismatch", f"{device} is a {profile.device_class}, not a {named}")
        return 2 * row + is_status

    def _match(self, topic: str) -> tuple[re.Match[str], int] | None:
        for pattern, is_status in self._patterns:
            if match := pattern.fullmatch(topic):
                return match, is_status
        return None


class _Cache(dict[str, int]):
    """Topics that lead somewhere; the others are not kept, or strangers could fill it."""

    def __init__(self, routes: Routes) -> None:
        super().__init__()
        self._routes = routes

    def __missing__(self, topic: str) -> int:
        try:
            code = self._routes.route(topic)
        except Refused:
            return UNROUTED
        if len(self) <= self._routes.topics_max:
            self[topic] = code
        return code


def _compile(pattern: str, file: str, key: str) -> re.Pattern[str]:
    """The pattern as a regular expression: each placeholder is one whole topic level."""
    levels = pattern.split("/")
    for level in levels:
        if level not in _PLACEHOLDERS and re.search(r"[<>+#\x00]", level):
            raise ConfigurationError(
                file, key, f"{level!r} is no topic level", "use plain levels and <area>, <class>, <device>"
            )
    if levels.count("<device>") != 1 or any(levels.count(name) > 1 for name in _PLACEHOLDERS):
        raise ConfigurationError(
            file, key, "must name <device> once", "write a pattern like city/<area>/<class>/<device>/up"
        )
    return re.compile(
        "/".join(
            f"(?P<{_PLACEHOLDERS[level]}>[^/]*)" if level in _PLACEHOLDERS else re.escape(level)
            for level in levels
        )
    )
