"""The pipeline gives the interpreter's numbers on random graphs, with every subset of its optional
passes.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from random_graphs import SAME_SHAPE, SHAPES, Maker

from lowering import compile as compiler
from lowering import interp
from lowering.launches import merge
from lowering.planning import lend
from lowering.runtime import devices, execute

OPTIONS = ("fuse", "split_reductions", "products", "condense", "merge", "bounds")

pytestmark = pytest.mark.lowering


def check(
    seed: int,
    steps: int,
    profile: dict | None = None,
    outputs: int = 3,
    donate: bool = False,
    **options: Any,
) -> None:
    """One random graph through the pipeline with these options and changes of the profile;
    `donate`: results, all of one
    shape, may take over some inputs.
    """
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("the interpreter has no pipeline")
    kinds = (SHAPES[seed % 3 : seed % 3 + 1], SAME_SHAPE) if donate else ()
    maker = Maker(seed, *kinds)
    graph = maker.graph(steps, outputs)
    want = interp.run_graph(graph, maker.inputs)
    donated = [donate and (seed + k) % 3 > 0 for k in range(len(maker.inputs))]
    given = [k for k, d in enumerate(donated) if d]
    made = device.profile.with_(**(profile or {}))
    plan = compiler.make_plan(graph, made, donated=donated, **options)
    inputs = [device.put(x.copy()) for x in maker.inputs]
    stores, _ = execute.Executable(plan, device)(inputs, donated=given)
    device.finish()
    for k, (store, node, w) in enumerate(zip(stores, graph.outputs, want)):
        got = device.fetch(store, node.shape, node.dtype)
        np.testing.assert_allclose(got, w, rtol=1e-3, atol=1e-3, err_msg=f"seed {seed} output {k}")


@pytest.mark.parametrize("seed", range(60))
def test_random_graph(seed):
    check(seed, 14)


@pytest.mark.parametrize("seed", range(1000, 1012))
def test_large_random_graph(seed):
    check(seed, 60)


@pytest.mark.parametrize("chosen", list(itertools.product((False, True), repeat=len(OPTIONS))))
def test_every_subset_of_optional_passes(chosen):
    for seed in range(2000, 2003):
        check(seed, 12, **dict(zip(OPTIONS, chosen)))


@pytest.mark.parametrize("seed", range(4000, 4024))
def test_every_temporary_may_be_lent_and_moved(seed, monkeypatch):
    monkeypatch.setattr(lend, "LEAST", 1)
    monkeypatch.setattr(merge, "LARGE", 1)
    check(seed, 30, condense=bool(seed % 2), fuse=bool(seed % 3))


@pytest.mark.parametrize("seed", range(3000, 3012))
def test_every_store_goes_past_the_caches(seed):
    check(seed, 14, profile={"l3_bytes": 0})


@pytest.mark.parametrize("seed", range(5000, 5024))
def test_results_take_over_donated_inputs(seed):
    check(seed, 6, outputs=8, donate=True, merge=bool(seed % 2))
