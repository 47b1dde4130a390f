"""Every row of tests/seed_promises.py has a test: promises by the identifiers in test names,
operations and compositions by the names of their cases.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import seed_promises
from seed_rows import FORMS

MODULES = sorted(p.stem for p in Path(__file__).parent.glob("test_seeds_*.py"))
IDENTIFIER = re.compile(r"(?<=_)(?:[STZFAM]\d+|[TZFA]_[A-F])(?=_|$)")


def functions():
    """All test functions of the modules."""
    for name in MODULES:
        for key, value in vars(importlib.import_module(name)).items():
            if key.startswith("test_") and callable(value):
                yield key, value


def by_identifier():
    """Identifier -> its test functions."""
    found = {}
    for name, function in functions():
        for row in IDENTIFIER.findall(name):
            found.setdefault(row, []).append(function)
    return found


def in_three_forms(function) -> bool:
    """Whether it is parametrised by the three forms."""
    marks = getattr(function, "pytestmark", [])
    return any(m.name == "parametrize" and m.args == FORMS.mark.args for m in marks)


TESTS = by_identifier()


@pytest.mark.parametrize("row", seed_promises.PROMISES)
def test_every_promise_has_a_test(row):
    assert row in TESTS, f"{row}: {seed_promises.PROMISES[row]}"
    if row in seed_promises.IN_THREE_FORMS:
        assert any(map(in_three_forms, TESTS[row])), f"{row} is not tested in three forms"


def test_no_test_names_a_row_that_does_not_exist():
    assert set(TESTS) <= set(seed_promises.PROMISES)


OPERATIONS = [
    ("test_seeds_tenflowers_ops", "OPERATIONS", seed_promises.TENFLOWERS_OPERATIONS),
    ("test_seeds_flodl_ops", "ARITHMETIC", seed_promises.FLODL_OPERATIONS["arithmetic"]),
    ("test_seeds_flodl_ops", "ACTIVATIONS", seed_promises.FLODL_OPERATIONS["activations"]),
    ("test_seeds_flodl_ops", "MATH", seed_promises.FLODL_OPERATIONS["mathematics"]),
    ("test_seeds_flodl_ops", "REDUCTIONS", seed_promises.FLODL_OPERATIONS["reductions"]),
    ("test_seeds_flodl_nn", "SHAPES", seed_promises.FLODL_OPERATIONS["shapes"]),
    ("test_seeds_flodl_nn", "NETWORK", seed_promises.FLODL_OPERATIONS["networks"]),
]


@pytest.mark.parametrize("module, table, names", OPERATIONS, ids=lambda v: v if str(v) == v else "")
def test_every_operation_has_rows_in_three_forms(module, table, names):
    rows = getattr(importlib.import_module(module), table)
    there = {r.name.partition("-")[0] for r in rows}
    assert set(names) <= there
    forms = {"test_eager", "test_jit", "test_vmap"}
    forms |= {f"test_operation_{f}" for f in ("eager", "jit", "vmap")}
    assert len(forms & set(vars(importlib.import_module(module)))) == 3


def test_there_are_109_operations_of_the_third_library():
    assert sum(map(len, seed_promises.FLODL_OPERATIONS.values())) == 109


def test_every_composition_has_a_case():
    cases = importlib.import_module("test_seeds_compositions").CASES
    assert set(seed_promises.COMPOSITIONS) <= set(cases)
