"""The pipeline gives the interpreter's numbers on random graphs, with every subset of its optional
passes.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from random_graphs import Maker

from lowering import compile as compiler
from lowering import interp
from lowering.launches import merge
from lowering.planning import lend
from lowering.runtime import devices, execute

OPTIONS = ("fuse", "split_reductions", "products", "condense", "merge", "bounds")

pytestmark = pytest.mark.lowering


def check(seed: int, steps: int, profile: dict | None = None, **options: bool) -> None:
    """One random graph through the pipeline with these options and changes of the profile."""
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("the interpreter has no pipeline")
    maker = Maker(seed)
    graph = maker.graph(steps, 3)
    want = interp.run_graph(graph, maker.inputs)
    plan = compiler.make_plan(graph, device.profile.with_(**(profile or {})), **options)
    stores, _ = execute.Executable(plan, device)([device.put(x) for x in maker.inputs])
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
