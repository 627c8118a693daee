"""docker-compose.yml against the Compose Specification's schema, as check-jsonschema ships it; offline."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load((root / "docker-compose.yml").read_text())
    return document


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def test_it_is_a_compose_file(compose, schema):
    validator = jsonschema.validators.validator_for(schema)(schema)
    errors = [
        f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(compose)
    ]
    assert not errors


def test_the_schema_catches_a_misspelled_key(compose, schema):
    wrong = {**compose, "services": {"broker": {"imagee": "x"}}}
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert list(validator.iter_errors(wrong))


def test_every_service_is_confined(compose):
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["restart"] == "unless-stopped", name
        assert not service.get("privileged"), name


def test_the_gateways_own_containers_are_read_only_and_not_root(compose):
    for name in ("gateway", "simulators"):
        service = compose["services"][name]
        assert service["read_only"] is True
        recipe = service["build"]["dockerfile_inline"]
        assert "--require-hashes" in recipe
        assert recipe.strip().splitlines()[-3].strip() == "USER 10001:10001"
    assert "/healthz" in " ".join(compose["services"]["gateway"]["healthcheck"]["test"])


def test_what_is_named_exists(compose, root):
    for name, service in compose["services"].items():
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (root / source).exists(), source
            else:
                assert source in compose["volumes"], source
        recipe = service.get("build", {}).get("dockerfile_inline", "")
        for line in recipe.splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                assert all((root / source).exists() for source in line.split()[1:-1]), line
