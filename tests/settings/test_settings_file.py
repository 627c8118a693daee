"""Settings from a file, the environment and secret files; every mistake is one line with a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import settings
from gateway.errors import ConfigurationError
from gateway.sections import Settings

ROOT = Path(__file__).parents[2]


def read(directory: Path, text: str, **environment: str) -> Settings:
    file = directory / "citylight.toml"
    file.write_text(text, encoding="utf-8")
    return settings.read(file, environment)


def mistake(directory: Path, text: str, **environment: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read(directory, text, **environment)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return caught.value


def secret(directory: Path, name: str, content: str, mode: int = 0o600) -> Path:
    file = directory / name
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return file


def test_an_empty_file_is_a_gateway_with_everything_embedded(tmp_path: Path) -> None:
    chosen = read(tmp_path, "")
    assert (chosen.mqtt.url, chosen.store.kind, chosen.ioc.mqtt.enabled) == ("", "embedded", True)
    assert chosen.http.host == "127.0.0.1"
    assert chosen.gateway.data_dir == tmp_path / "citylight-data"


GATEWAYS = sorted(file for file in (ROOT / "examples").rglob("*.toml") if file.parent.name != "scenarios")
"""Scenarios are for the simulators and have a test of their own."""


@pytest.mark.parametrize("file", GATEWAYS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_shipped_files_are_valid(file: Path, tmp_path: Path) -> None:
    """With the secrets they name in place, which are never shipped."""
    document = settings.tomllib.loads(file.read_text(encoding="utf-8"))
    if "fault" in document:
        pytest.skip("a file of faults")

    def here(section: dict[str, Any]) -> None:
        for key, value in section.items():
            if isinstance(value, dict):
                here(value)
            elif key.endswith("_file") and key.removesuffix("_file") in {"password", "token", "secret"}:
                section[key] = str(secret(tmp_path, key, "x"))

    here(document)
    settings.build(document, str(file), file.parent, {})


def test_relative_paths_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "etc" / "citylight.toml").write_text(
        '[gateway]\ninventory = "../inventory"\nprofiles = ["p", "/q", "~/r"]\ndata_dir = "/var/x"\n'
    )
    chosen = settings.read(Path("etc/citylight.toml"), {})
    assert chosen.gateway.inventory == tmp_path / "inventory"
    assert chosen.gateway.profiles == (tmp_path / "etc" / "p", Path("/q"), tmp_path / "home" / "r")
    assert chosen.gateway.data_dir == Path("/var/x")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    chosen = read(
        tmp_path,
        '[mqtt]\nurl = "mqtt://file:1883"\nclient_id = "kept"\n',
        CITYLIGHT_MQTT__URL="mqtt://environment:1884",
        CITYLIGHT_IOC__MQTT__CLIENT_ID="out",
        CITYLIGHT_HTTP__PORT="9000",
        CITYLIGHT_MQTT__PASSWORD="from the environment",
        CITYLIGHT_CONFIG="no setting, but where the file is",
        OTHER__THING="not ours",
    )
    assert (chosen.mqtt.url, chosen.mqtt.client_id) == ("mqtt://environment:1884", "kept")
    assert (chosen.ioc.mqtt.client_id, chosen.http.port) == ("out", 9000)
    assert chosen.mqtt.password.get_secret_value() == "from the environment"


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    for name in ("in", "out", "store", "hook"):
        secret(tmp_path, name, f"s3cret-{name}\n")
    chosen = read(
        tmp_path,
        '[mqtt]\npassword_file = "in"\n[store]\ntoken_file = "store"\n'
        '[ioc.mqtt]\npassword_file = "out"\n'
        '[[ioc.webhook]]\nname = "a"\nurl = "https://ioc.example"\nsecret_file = "hook"\n',
    )
    assert chosen.mqtt.password.get_secret_value() == "s3cret-in"
    assert chosen.store.token.get_secret_value() == "s3cret-store"
    assert chosen.ioc.mqtt.password.get_secret_value() == "s3cret-out"
    assert chosen.ioc.webhook[0].secret.get_secret_value() == "s3cret-hook"
    shown = f"{chosen!r} {chosen} {chosen.model_dump()} {json.dumps(chosen.model_dump(mode='json'))}"
    assert "s3cret" not in shown


def test_credentials_of_systemd(tmp_path: Path) -> None:
    secret(tmp_path, "gateway-in", "given by systemd")
    text = '[mqtt]\npassword_file = "$CREDENTIALS_DIRECTORY/gateway-in"\n'
    chosen = read(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert chosen.mqtt.password.get_secret_value() == "given by systemd"
    assert mistake(tmp_path, text).key == "mqtt.password_file"
    by_environment = read(tmp_path, "", CITYLIGHT_MQTT__PASSWORD_FILE=f"{tmp_path}/gateway-in")
    assert by_environment.mqtt.password.get_secret_value() == "given by systemd"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
def test_a_secret_that_everyone_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret(tmp_path, "in", "s3cret", mode)
    error = mistake(tmp_path, '[mqtt]\npassword_file = "in"\n')
    assert (error.key, error.remedy) == ("mqtt.password_file", "chmod 600 in")
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[mqtt]\nclientid = 'x'\n", "mqtt.clientid", "did you mean 'client_id'?"),
        ("[ioc.mqtt]\nheartbeat = 3\n", "ioc.mqtt.heartbeat", "did you mean 'heartbeat_s'?"),
        ("[stor]\nurl = 'x'\n", "stor", "did you mean 'store'?"),
        ("[mqtt]\nzzz = 1\n", "mqtt.zzz", "docs/settings.md"),
        ("mqtt = 3\n", "mqtt", "docs/settings.md"),
        ("[http]\nport = 70000\n", "http.port", "65535"),
        ("[gateway]\nname = 'a b'\n", "gateway.name", "pattern"),
        ("[gateway]\nlanguage = 'fr'\n", "gateway.language", "'vi' or 'en'"),
        ("[gateway]\ntime_zone = '../etc/passwd'\n", "gateway.time_zone", "IANA"),
        ("[mqtt]\nurl = 'localhost'\n", "mqtt.url", "mqtt://host:port"),
        ("[mqtt]\nurl = 'mqtt://a:b@c'\n", "mqtt.url", "secret file"),
        ("[mqtt]\nurl = 'mqtt://host:port'\n", "mqtt.url", "port"),
        ("[mqtt]\ncert_file = 'c'\n", "mqtt", "belong together"),
        ("[store]\nkind = 'influx2'\n", "store", "url is needed"),
        ("[store]\ntimeout_s = 0\n", "store.timeout_s", "greater than 0"),
        ("[store]\ntimeout_s = inf\n", "store.timeout_s", "finite"),
        ("[[ioc.webhook]]\nname = 'a'\n", "ioc.webhook.0.url", "add it"),
        ("[[ioc.webhook]]\nname = 'a'\nurl = 'ioc.example'\n", "ioc.webhook.0.url", "https://host:port"),
        ("[[ioc.webhook]]\nname = 'a'\nurl = 'http://x'\nsecre = ''\n", "ioc.webhook.0.secre", "'secret'"),
        ("[mqtt]\npassword_file = 'nowhere'\n", "mqtt.password_file", "can not be read"),
        ("[mqtt]\npassword_file = '.'\n", "mqtt.password_file", "can not be read"),
        ("[mqtt\n", "", "not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_key_and_a_remedy(
    tmp_path: Path, text: str, key: str, words: str
) -> None:
    error = mistake(tmp_path, text)
    assert error.file == str(tmp_path / "citylight.toml")
    assert error.key == key
    assert words in str(error)


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("CITYLIGHT_MQTT__URI", "mqtt.uri"),
        ("CITYLIGHT_MQTTT__URL", "mqttt"),
        ("CITYLIGHT_MQTT__URL__X", "url"),
        ("CITYLIGHT_HTTP__PORT", "http.port"),
    ],
)
def test_a_wrong_variable_is_a_mistake_too(tmp_path: Path, variable: str, key: str) -> None:
    error = mistake(tmp_path, '[mqtt]\nurl = "mqtt://x"\n', **{variable: "zzz"})
    assert error.key == key


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory; name a readable file with -c"):
        settings.read(tmp_path / "nowhere.toml", {})
    (tmp_path / "latin.toml").write_bytes('# Bình Dương ở đây: "\xe9"'.encode("latin-1", "replace"))
    with pytest.raises(ConfigurationError, match="is not UTF-8; save it as UTF-8"):
        settings.read(tmp_path / "latin.toml", {})


HOOK = '[[ioc.webhook]]\nname = "duty-1"\nurl = "https://ioc.example/x"\n'


def test_the_secret_of_one_webhook_can_come_from_the_environment(tmp_path: Path) -> None:
    text = HOOK + '[[ioc.webhook]]\nname = "chief"\nurl = "https://ioc.example/y"\n'
    chosen = read(tmp_path, text, CITYLIGHT_IOC__WEBHOOK__DUTY_1__SECRET="s3cret")
    assert [hook.secret.get_secret_value() for hook in chosen.ioc.webhook] == ["s3cret", ""]
    with pytest.raises(ConfigurationError, match="nobody"):
        read(tmp_path, text, CITYLIGHT_IOC__WEBHOOK__NOBODY__SECRET="s3cret")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[ioc]\nwebhook_hosts = ["other.example"]\n{HOOK}', "ioc.example is not among webhook_hosts"),
        ("[ioc]\nflood_begins = 3\nflood_ends = 4\n", "flood_ends"),
        (f'{HOOK}morning_at = "25:00"\n', "pattern"),
    ],
)
def test_a_target_or_a_time_that_can_not_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in str(mistake(tmp_path, text))
    good = f'[ioc]\nwebhook_hosts = ["IOC.example"]\n{HOOK}morning_at = ""\n'
    assert read(tmp_path, good).ioc.webhook[0].morning_at == ""
