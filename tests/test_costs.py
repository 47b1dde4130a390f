"""Launches, kernels and bytes of the benchmark rows have not risen; no clock is looked at."""

from __future__ import annotations

import json

import pytest

from benchmarks.costs import KEPT, rises, watched
from benchmarks.rows import load, spelled

COSTS = json.loads(KEPT.read_text()) if KEPT.exists() else {}


def test_every_row_has_its_costs_kept():
    assert set(COSTS) == set(watched())


@pytest.mark.parametrize("name", COSTS)
def test_costs_have_not_risen(name):
    from benchmarks.driverless import costs, lower

    assert rises(name, COSTS[name], costs(lower(name))) == []


@pytest.mark.parametrize(
    ("name", "launches"),
    [("softmax", 1), ("layernorm", 1), ("layernorm_grad", 3), ("ode", 1), ("sum", 2),
     ("axpy", 1), ("black_scholes", 1), ("grad_chain", 1), ("gelu_bias", 1)],
)  # fmt: skip
def test_what_must_be_few_launches(name, launches):
    assert COSTS[name]["launches"] <= launches


def test_a_family_is_spelled_by_its_name():
    assert spelled("softmax,tables")[:2] == ["softmax", "lcs_table"]
    assert {load()[name].family for name in spelled("buffers")} == {"buffers"}
