"""What messages are read with. In: texts of profiles and inventory. Out: a checked ``Configuration``.

The texts themselves are what is kept, so that history can be read again as it was read then.
Never reads a file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field

import msgspec

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.options import AlarmOptions, contradiction
from gateway.decode import rulebook
from gateway.decode.lines import line_of
from gateway.decode.profile import Profile, load
from gateway.decode.regulations import read as regulations_of
from gateway.decode.watches import check_regulations
from gateway.errors import ConfigurationError, JournalError
from gateway.fleet import Fleet
from gateway.inventory.parser import parse
from gateway.partition import Partition
from gateway.regulation import Regulation

PROFILE_FILE = "profile.toml"
"""What is called so among ``Sources.profiles`` is a profile; the other files are regulations."""

CONFIGURATIONS_KEPT_MAX = 4


class Sources(msgspec.Struct, frozen=True, omit_defaults=True):
    """File contents by name; ``profiles`` by the path they are reported under, regulations among them.

    ``share`` (worker, workers): only one worker's part of the inventory is in force.
    """

    profiles: dict[str, bytes]
    inventory: dict[str, bytes]
    time_zone: str
    share: tuple[int, int] | None = None

    def pack(self) -> bytes:
        """The bytes that are kept and hashed; the same for the same texts."""
        return msgspec.msgpack.encode(self, order="deterministic")


@dataclass(frozen=True)
class Configuration:
    """What one control record put in force; ``hash`` is its name in state.db."""

    hash: str
    fleet: Fleet
    profiles: tuple[Profile, ...]
    options: AlarmOptions = field(default_factory=AlarmOptions)
    regulations: Mapping[str, Regulation] = field(default_factory=dict)

    def engine(self) -> AlarmEngine:
        """A fresh alarm engine for it."""
        specs = [profile.spec for profile in self.profiles]
        return AlarmEngine(self.fleet, specs, self.options, self.regulations)


def interpret(content: bytes, name: str) -> Configuration:
    """The configuration that packed sources describe; ConfigurationError names file, key and remedy."""
    sources = msgspec.msgpack.decode(content, type=Sources)
    profiles: dict[str, tuple[str, Profile]] = {}
    regulations: dict[str, Regulation] = {}
    for file, text in sorted(sources.profiles.items()):
        if not file.endswith(PROFILE_FILE):
            regulation = regulations_of(_text(text, file), file)
            if regulation.name in regulations:
                raise ConfigurationError(file, "name", f"{regulation.name!r} is used twice", "rename one")
            regulations[regulation.name] = regulation
            continue
        profile = load(_text(text, file), file)
        if profile.name in profiles:
            other = profiles[profile.name][0]
            raise ConfigurationError(file, "name", f"{profile.name!r} is also in {other}", "rename one")
        profiles[profile.name] = (file, profile)
    for file, profile in profiles.values():
        check_regulations(profile.spec.watches, regulations, file)
    fleet = parse(sources.inventory, profiles=profiles, time_zone=sources.time_zone)
    known = tuple(profile for _, profile in profiles.values())
    options = AlarmOptions()
    if rulebook.FILE in sources.inventory:
        rules = _text(sources.inventory[rulebook.FILE], rulebook.FILE)
        known = rulebook.apply(rules, known, fleet)
        for profile in known:
            check_regulations(profile.spec.watches, regulations, rulebook.FILE)
        options = AlarmOptions(**rulebook.practice(rules, asdict(options)))  # type: ignore[arg-type]
        if (wrong := contradiction(options)) is not None:
            key, problem, remedy = f"practice.{wrong[0]}", *wrong[1:]
            raise ConfigurationError(rulebook.FILE, key, problem, remedy, line=line_of(rules, key))
    if sources.share is not None:  # last: rules may name places of any worker
        worker, workers = sources.share
        fleet = Partition(fleet, workers).share(worker)
    return Configuration(name, fleet, known, options, regulations)


def _text(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(file, "", f"byte {error.start} is not UTF-8", "save it as UTF-8") from error


class Configurations:
    """All the journal names. ``load(hash)`` gives packed sources; ``timeline`` says since which record."""

    def __init__(self, load: Callable[[str], bytes | None], timeline: Iterable[tuple[int, str]]) -> None:
        self._load = load
        self._timeline = sorted(timeline)
        self._kept: OrderedDict[str, Configuration] = OrderedDict()

    @property
    def current(self) -> Configuration:
        """The newest one; what messages that come now are read with."""
        return self.named(self._timeline[-1][1])

    @property
    def current_hash(self) -> str:
        return self._timeline[-1][1] if self._timeline else ""

    def at(self, sequence: int) -> Configuration:
        """The one in force just before journal record ``sequence``; the oldest known before the first."""
        earlier = [name for since, name in self._timeline if since < sequence]
        return self.named(earlier[-1] if earlier else self._timeline[0][1])

    def named(self, name: str) -> Configuration:
        """By hash. JournalError if state.db does not have it: the journal can not be read without."""
        if name not in self._kept:
            content = self._load(name)
            if content is None:
                raise JournalError(f"the journal names configuration {name}, which state.db does not have")
            self.keep(interpret(content, name))
        self._kept.move_to_end(name)
        return self._kept[name]

    def keep(self, configuration: Configuration) -> None:
        self._kept[configuration.hash] = configuration
        while len(self._kept) > CONFIGURATIONS_KEPT_MAX:
            self._kept.popitem(last=False)

    def put_in_force(self, sequence: int, name: str) -> None:
        """From record ``sequence`` on."""
        self._timeline.append((sequence, name))
