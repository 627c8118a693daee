"""Every type of alarm that can be raised has words for people, in both languages, that mean nothing else."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter

import pytest

from gateway.vocabulary.kind import Delivery
from gateway.vocabulary.kinds import EQUIPMENT, KINDS, LATCHING

CAP_CATEGORIES = {"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra"}
VIETNAMESE = set("ăâđêôơưáàảãạấầẩẫậắằẳẵặéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ")


def raised(root, modules):
    """Types named by a rule or watch of a profile or rulebook, or by a constant of the alarm room."""
    for file in (*root.glob("device_profiles/*/*.toml"), *root.glob("examples/**/rules.toml")):
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        for rule in (*table.get("rule", ()), *table.get("watch", ())):
            yield file.name, rule["type"]
    for module in modules:
        if module.name.startswith("gateway/alarm/"):
            yield from ((module.name, name) for name in _constants(module.tree))


def _constants(tree):
    """``TYPE: Final = "communicationFailure"`` and members of the enum of our own troubles."""
    for node in ast.walk(tree):
        value = getattr(node, "value", None)
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        if not isinstance(target, ast.Name) or not isinstance(value, ast.Constant):
            continue
        text = value.value
        named = isinstance(text, str) and text.isalnum() and text[:1].islower() and text != text.lower()
        if target.id.isupper() and named:
            yield text


def test_every_type_that_is_raised_has_words(root, modules):
    found = list(raised(root, modules))
    assert {"lampFailure", "communicationFailure", "feederOpen", "journalFull"} <= {kind for _, kind in found}
    missing = sorted({f"{kind} ({where})" for where, kind in found if kind not in KINDS})
    assert not missing, f"give them words in gateway/vocabulary: {missing}"


def test_no_two_types_have_the_same_name():
    for language in ("vi", "en"):
        names = Counter(getattr(kind, language).casefold() for kind in KINDS.values())
        assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_type_says_what_it_is_and_what_to_check(name):
    kind = KINDS[name]
    assert set((kind.vi + kind.check_vi).casefold()) & VIETNAMESE
    assert not set((kind.en + kind.check_en).casefold()) & VIETNAMESE
    for words in (kind.vi, kind.en, kind.check_vi, kind.check_en):
        assert words == words.strip() and not words.endswith(".")
    assert kind.category in CAP_CATEGORIES


def test_single_lamps_never_wake_anybody():
    assert [name for name, kind in KINDS.items() if kind.lamp and kind.delivery is Delivery.WAKE] == []


def test_who_is_woken_follows_field_practice():
    woken = {name for name, kind in KINDS.items() if kind.delivery is Delivery.WAKE}
    assert {"feederOpen", "supplyLoss", "neutralLoss", "leakageDetected", "columnKnockedDown"} <= woken
    assert {"neutralLoss", "leakageDetected", "columnKnockedDown"} <= {
        name for name, kind in KINDS.items() if kind.breaks_through
    }
    assert {KINDS[name].delivery for name in ("powerFactorTooLow", "lampVoltageTooLow")} == {Delivery.RECORD}


def test_the_table_of_the_documents_is_the_one_of_the_code(texts):
    written = {line for line in texts["docs/delivery.md"].splitlines() if line.startswith("| `")}
    lines = []
    for name, kind in KINDS.items():
        delivery = kind.delivery.value + " ⚡" * kind.breaks_through
        lines.append(f"| `{name}` | {delivery} | {kind.vi} | {kind.en} | {kind.category} |")
    missing = [line for line in lines if line not in written]
    assert not missing, "docs/delivery.md lacks\n" + "\n".join(missing)
    stale = [line for line in written if line.split("`")[1] in KINDS and line not in lines]
    assert not stale, f"docs/delivery.md has {stale}"


def test_what_sends_a_crew_or_latches_is_known_and_told_to_somebody():
    assert set(KINDS) >= EQUIPMENT | LATCHING
    assert not [name for name in EQUIPMENT if KINDS[name].delivery is Delivery.RECORD]
    assert {KINDS[name].delivery for name in LATCHING} == {Delivery.WAKE}
