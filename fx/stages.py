"""The stages of a jitted function, one object each: Traced (jaxpr), Lowered (Graph), Compiled
(executable).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fx import array
from fx.core import ClosedJaxpr
from fx.executable import Runner, graph_of, runner_for
from fx.jit import Jitted as Wrapped
from fx.passes import dce_closed
from fx.sharding import SingleDeviceSharding
from fx.trace import ShapeDtypeStruct
from fx.tree_util import tree_flatten

__all__ = ["ArgInfo", "Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]

CompilerOptions = dict[str, Any]


class ArgInfo(NamedTuple):
    """An argument of a lowered function: its type, and whether it is donated."""

    aval: Any
    donated: bool

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)


class _Stage:
    """What all stages know: the function's name, its trees and avals."""

    def __init__(self, jitted: Any, entry: Any, in_tree: Any, in_avals: list[Any]):
        self._jitted, self._entry = jitted, entry
        self.in_tree, self._in_avals = in_tree, in_avals
        self.fun_name = entry.name

    @property
    def out_tree(self) -> Any:
        """The structure of the output."""
        return self._entry.out_tree

    @property
    def in_avals(self) -> Any:
        """The avals of the arguments, as a tree of (args, kwargs)."""
        return self.in_tree.unflatten(self._in_avals)

    @property
    def args_info(self) -> Any:
        """The arguments' types and donation, as a tree of (args, kwargs)."""
        donated = self._entry.donated[len(self._entry.consts) :]
        return self.in_tree.unflatten(map(ArgInfo, self._in_avals, donated))

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        """The places of donated arguments among the flat ones."""
        donated = self._entry.donated[len(self._entry.consts) :]
        return tuple(k for k, given in enumerate(donated) if given)

    @property
    def out_info(self) -> Any:
        """The shapes and dtypes of the output."""
        structs = [
            ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type)
            for a in self._entry.closed.out_avals
        ]
        return self.out_tree.unflatten(structs)


class Traced(_Stage):
    """A function traced at a signature: `jit(f).trace(*args)`.

    It has a jaxpr and can be lowered; nothing has been computed.
    """

    @property
    def jaxpr(self) -> ClosedJaxpr:
        """The jaxpr; closed-over arrays are its leading inputs."""
        return self._entry.closed

    def lower(self, *, lowering_platforms: Any = None, _private_parameters: Any = None) -> Lowered:
        """Lower to a Graph; which is of no platform yet."""
        return Lowered(self._jitted, self._entry, self.in_tree, self._in_avals)


class Lowered(_Stage):
    """A function lowered to a Graph, for no device yet: `jit(f).lower(*args)`.

    It can be compiled, printed (`as_text`) and asked for its cost.
    """

    def __init__(self, *args: Any):
        super().__init__(*args)
        self._graph = graph_of(dce_closed(self._entry.closed)[0])

    def compile(
        self, compiler_options: dict[str, Any] | None = None, *, device_assignment: Any = None
    ) -> Compiled:
        """Compile for the jitted function's device, or the default one."""
        return Compiled(self._jitted, self._entry, self.in_tree, self._in_avals)

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The text: the OpenCL source (dialect None or "opencl"), the "graph", or the "jaxpr"."""
        if dialect == "jaxpr":
            return str(self._entry.closed)
        if dialect == "graph":
            return "\n".join(map(repr, self._graph.nodes()))
        return self.compile().as_text()

    def compiler_ir(self, dialect: str | None = None) -> Any:
        """The Graph."""
        return self._graph

    def cost_analysis(self) -> dict[str, float]:
        """Operations and bytes, as Compiled.cost_analysis."""
        return self.compile().cost_analysis()


class Compiled(_Stage):
    """A function compiled for one signature and one device; calling it checks the signature.

    Static arguments are in it: a call gives the others alone.
    """

    def __init__(self, *args: Any):
        super().__init__(*args)
        device = self._jitted.device
        device = array.default_device() if device is None else array.find_device(device)
        self._place = SingleDeviceSharding(device)
        entry = self._entry
        self._runner: Runner = runner_for(entry.closed, entry.donated, device, entry.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, tree = tree_flatten((args, kwargs))
        if tree != self.in_tree:
            raise TypeError(
                "Function compiled with input pytree does not match the input pytree it was called "
                f"with: compiled for {self.in_tree}, called with {tree}"
            )
        for k, (x, aval) in enumerate(zip(leaves, self._in_avals)):
            if isinstance(x, array.core.Tracer):
                raise TypeError(
                    "Cannot apply transformations to a function lowered and compiled for a "
                    f"particular signature; call the jitted function instead. Got {x}."
                )
            given = array.core.get_aval(x)
            if given.shape != aval.shape or given.dtype != aval.dtype:
                names = self._entry.closed.jaxpr.debug_info.arg_names
                name = names[len(self._entry.consts) + k]
                raise TypeError(
                    "Argument types differ from the types for which this computation was compiled: "
                    f"argument {name} is {given.str_short()}, compiled for {aval.str_short()}"
                )
        return self._entry.finish(self._runner([*self._entry.consts, *leaves]))

    @property
    def _plan(self) -> Any:
        call = self._runner.call
        return getattr(call.executable, "plan", None) if call is not None else None

    def as_text(self) -> str:
        """The OpenCL source of every program; the Graph's text on the interpreter."""
        plan = self._plan
        if plan is not None:
            return "\n\n".join(p.source for p in plan.programs)
        graph = self._runner.graph
        return "\n".join(map(repr, graph.nodes())) if graph is not None else ""

    def runtime_executable(self) -> Any:
        """The back end's executable."""
        return self._runner.call.executable if self._runner.call is not None else None

    def cost_analysis(self) -> dict[str, float]:
        """Estimated floating-point operations, and bytes of arguments and results."""
        graph = self._runner.graph
        if graph is None:
            return {"flops": 0.0, "bytes accessed": 0.0}
        moved = sum(n.size * n.dtype.itemsize for n in (*graph.inputs, *graph.outputs))
        return {
            "flops": float(sum(map(_operations, graph.nodes()))),
            "bytes accessed": float(moved),
        }

    @property
    def input_shardings(self) -> Any:
        """Where the arguments are, as a pair of a tuple and a dictionary: on the one device."""
        return self.in_tree.unflatten([self._place] * self.in_tree.num_leaves)

    @property
    def output_shardings(self) -> Any:
        """Where the results are, in the output's structure."""
        return self.out_tree.unflatten([self._place] * self.out_tree.num_leaves)

    def memory_analysis(self) -> MemoryAnalysis:
        """Bytes of arguments, outputs and temporaries."""
        return MemoryAnalysis(self._runner.graph, self._plan)


class MemoryAnalysis:
    """Bytes that one call needs."""

    def __init__(self, graph: Any, plan: Any):
        def size(nodes: Any) -> int:
            return sum(n.size * n.dtype.itemsize for n in nodes)

        self.argument_size_in_bytes = size(graph.inputs) if graph is not None else 0
        self.output_size_in_bytes = size(graph.outputs) if graph is not None else 0
        self.temp_size_in_bytes = plan.arena_bytes if plan is not None else 0
        self.alias_size_in_bytes = 0
        self.generated_code_size_in_bytes = (
            sum(len(p.source) for p in plan.programs) if plan is not None else 0
        )
        if plan is not None:
            self.alias_size_in_bytes = sum(
                b.nbytes for b in plan.buffers if b.kind == "output" and b.alias is not None
            )

    @property
    def peak_memory_in_bytes(self) -> int:
        """Arguments, outputs and temporaries together, less what outputs take over."""
        return (
            self.argument_size_in_bytes
            + self.output_size_in_bytes
            + self.temp_size_in_bytes
            - self.alias_size_in_bytes
        )

    def __repr__(self) -> str:
        fields = ", ".join(f"{k}={v}" for k, v in vars(self).items())
        return f"MemoryAnalysis({fields})"


def _operations(node: Any) -> int:
    """A node's arithmetic: one per element, two per term of a product."""
    kind = type(node.form).__name__
    if kind == "Contract":
        axes = node.form.contract[0]
        terms = 1
        for a in axes:
            terms *= node.args[0].shape[a]
        return 2 * node.size * terms
    if kind in ("Reduce", "ArgReduce", "CumScan"):
        return node.args[0].size
    if kind == "Map" and node.form.op not in ("convert", "bitcast", "select"):
        return node.size
    return 0
