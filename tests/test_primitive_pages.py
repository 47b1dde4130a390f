"""The generated pages of primitives are those of the registry, and no rule is missing without a
reason.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from fx.core import no

SOURCE = Path(__file__).resolve().parent.parent / "docs" / "primitives.py"


@pytest.fixture(scope="module")
def generator():
    """docs/primitives.py as a module."""
    spec = importlib.util.spec_from_file_location("primitive_pages", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_up_to_date(generator):
    assert generator.stale() == [], "run python -m docs.primitives --write"


def test_no_rule_is_missing_without_a_reason(generator):
    holes = [
        (name, rule)
        for name, p in generator.own_primitives().items()
        for rule in generator.RULES
        if generator.rule_of(p, rule) is None
    ]
    assert holes == []


def test_reasons_are_sentences(generator):
    for name, p in generator.own_primitives().items():
        for rule in generator.RULES:
            found = generator.rule_of(p, rule)
            assert not isinstance(found, no) or len(found.reason) > 8, (name, rule)


def test_every_rule_has_a_place(generator):
    for p in generator.own_primitives().values():
        for rule in (*generator.RULES, *generator.HIGHER):
            if callable(generator.rule_of(p, rule)):
                assert generator.place_of(p, rule)
