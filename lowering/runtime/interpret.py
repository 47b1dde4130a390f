"""The interpreter device's executable: runs a Graph in NumPy, with an Executable's interface.

It needs no driver; it is the oracle of the tests and the way to run them without OpenCL.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from lowering.graph import Graph
from lowering.runtime.counters import counts
from lowering.runtime.memory import PlainStorage


class InterpreterExecutable:
    """`executable(inputs) -> (outputs, None)` for a Graph, on NumPy storages."""

    def __init__(self, graph: Graph):
        from lowering.interp import run_graph

        self.graph = graph
        self._run = run_graph

    def __call__(
        self, inputs: Sequence[Any], donated: Collection[int] = ()
    ) -> tuple[list[PlainStorage], None]:
        counts.calls += 1
        arrays = [s.array for s in inputs]
        nodes = self.graph.inputs
        arrays = [
            a.view(n.dtype) if a.dtype.kind == "V" and a.dtype.names else a
            for a, n in zip(arrays, nodes)
        ]  # random keys are integers here
        given = set(map(id, arrays))
        results = [  # the caller may write to what the inputs are views of
            np.array(r) if id(r) in given or not r.flags.owndata else r
            for r in self._run(self.graph, arrays)
        ]
        return [PlainStorage(r) for r in results], None
