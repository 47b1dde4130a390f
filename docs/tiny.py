"""The whole idea of fx in one file: jvp, vmap, reverse mode, and one OpenCL kernel.

A function is run on tracers. A tracer hands each primitive to the current trace, and the trace
evaluates it, records it, or transforms it and hands it on to the trace below. fx is this, with
more primitives (fx/prims), trees of arguments, loops, and a compiler in the place of `kernel`.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

# ---------------------------------------------------------------- primitives and traces


class Primitive:
    """An operation; everything that transformations know of it hangs here.

    numpy(*arrays)              what it computes
    jvp(primals, tangents)      -> result, tangent; a tangent of None is zero
    transpose(ct, *operands)    -> a cotangent for each operand that is Unknown (of a linear use)
    batch(arrays, batched)      -> result with the batch in front; operands have it there or not
    opencl(*texts)              -> the text of its result, if it goes element by element
    """

    def __init__(self, name, numpy, **rules):
        self.name, self.numpy = name, numpy
        self.__dict__.update({"jvp": None, "transpose": None, "batch": None, "opencl": None})
        self.__dict__.update(rules)

    def __call__(self, *args, **params):
        return state.trace.process(self, args, params)


class Trace:
    """The bottom of the stack: evaluates."""

    def process(self, p, args, params):
        for x in args:
            if isinstance(x, Tracer):
                raise RuntimeError(f"{p.name}: this value has outlived the trace that made it")
        return np.asarray(p.numpy(*args, **params), np.float32)


class Tracer:
    """Stands for an array while a trace runs; `value` is an array or a tracer of a trace below."""

    def __init__(self, trace, value, shape=None):
        self.trace, self.value = trace, value
        self.shape = np.shape(value) if shape is None else shape

    __array_ufunc__ = None  # NumPy's arrays leave `array * tracer` to the tracer
    __add__ = __radd__ = lambda x, y: add(x, y)
    __mul__ = __rmul__ = lambda x, y: mul(x, y)
    __neg__ = lambda x: neg(x)
    __sub__ = lambda x, y: add(x, neg(y))
    __rsub__ = lambda x, y: add(y, neg(x))


class State:
    """The one current trace."""

    trace = Trace()


state = State()


@contextmanager
def current(trace):
    """Makes `trace` the current one."""
    below, state.trace = state.trace, trace
    try:
        yield trace
    finally:
        state.trace = below


# ---------------------------------------------------------------- forward mode: pairs


class JVPTrace(Trace):
    """Carries (value, tangent) through; the rule itself runs in the trace below."""

    def __init__(self):
        self.below = state.trace

    def split(self, x):
        mine = isinstance(x, Tracer) and x.trace is self
        return (x.value, x.tangent) if mine else (x, None)  # not mine: a constant, tangent zero

    def pair(self, value, tangent):
        tracer = Tracer(self, value)
        tracer.tangent = tangent
        return tracer

    def process(self, p, args, params):
        primals, tangents = zip(*map(self.split, args))
        with current(self.below):
            if all(t is None for t in tangents):
                return self.pair(p(*primals, **params), None)
            return self.pair(*p.jvp(primals, tangents, **params))


def jvp(f, primals, tangents):
    """f(*primals), and its derivative in the direction of the tangents."""
    trace = JVPTrace()
    with current(trace):
        out = f(*map(trace.pair, primals, tangents))
    value, tangent = trace.split(out)
    return value, np.zeros(np.shape(value), np.float32) if tangent is None else tangent


# ---------------------------------------------------------------- batches: one more axis


class BatchTrace(Trace):
    """Carries arrays with the batch in front; constants stay as they are."""

    def __init__(self):
        self.below = state.trace

    def process(self, p, args, params):
        batched = [isinstance(x, Tracer) and x.trace is self for x in args]
        arrays = [x.value if b else x for x, b in zip(args, batched)]
        with current(self.below):
            if not any(batched):
                return p(*arrays, **params)
            out = p.batch(arrays, batched, **params)
        return Tracer(self, out, np.shape(out)[1:])


def vmap(f):
    """f over the first axis of every argument."""

    def mapped(*args):
        trace = BatchTrace()
        with current(trace):
            out = f(*(Tracer(trace, x, np.shape(x)[1:]) for x in args))
        if isinstance(out, Tracer) and out.trace is trace:
            return out.value
        return broadcast(out, shape=(np.shape(args[0])[0], *np.shape(out)))

    return mapped


# ---------------------------------------------------------------- records


class Unknown(Tracer):
    """A value that is not computed: a variable of the record."""


class RecordTrace(Trace):
    """Computes what is known in the trace below, records the rest as (out, primitive, operands).

    With every argument unknown it makes a jaxpr. With known primals and unknown tangents it is
    partial evaluation: what it records is the linear program from tangents to tangents.
    """

    def __init__(self):
        self.below, self.equations = state.trace, []

    def unknown(self, shape):
        return Unknown(self, None, shape)

    def process(self, p, args, params):
        if not any(isinstance(x, Unknown) and x.trace is self for x in args):
            with current(self.below):
                return p(*args, **params)
        blank = [np.zeros(np.shape(x), np.float32) for x in args]  # shapes by evaluation
        out = self.unknown(np.shape(p.numpy(*blank, **params)))
        self.equations.append((out, p, args, params))
        return out


def vjp(f, *primals):
    """f(*primals), and the function from its cotangent to cotangents of the arguments.

    Reverse mode is two steps: push unknown tangents forward and record what happens to them (a
    linear program), then run the record backwards, each primitive by its transpose.
    """
    trace = RecordTrace()
    with current(trace):
        tangents = [trace.unknown(np.shape(x)) for x in primals]
        value, result = jvp(f, primals, tangents)

    def pull(ct):
        sums = {id(result): ct}
        for out, p, args, params in reversed(trace.equations):
            ct_out = sums.pop(id(out), None)
            if ct_out is None:
                continue  # nothing depends on it
            for x, ct_x in zip(args, p.transpose(ct_out, *args, **params)):
                if ct_x is not None:
                    sums[id(x)] = add(sums[id(x)], ct_x) if id(x) in sums else ct_x
        zeros = (np.zeros(np.shape(x), np.float32) for x in primals)
        return tuple(sums.get(id(t), z) for t, z in zip(tangents, zeros))

    return value, pull


def grad(f):
    """The gradient of a scalar function by its first argument."""

    def gradient(*args):
        value, pull = vjp(lambda x: f(x, *args[1:]), args[0])
        if np.shape(value) != ():
            raise TypeError(f"grad takes a function with a scalar result, this one has shape "
                            f"{np.shape(value)}")  # fmt: skip
        return pull(np.float32(1))[0]

    return gradient


# ---------------------------------------------------------------- the primitives, each in one place
# broadcast and sum_to are each other's transpose. The first `lead` axes stay; new ones, and those
# that are summed away, stand after them; axes of size 1 stretch and shrink.


def np_broadcast(x, shape, lead=0):
    ones = (1,) * (len(shape) - np.ndim(x))
    return np.broadcast_to(np.reshape(x, (*np.shape(x)[:lead], *ones, *np.shape(x)[lead:])), shape)


def np_sum_to(x, shape, lead=0):
    x = np.sum(x, axis=tuple(range(lead, lead + np.ndim(x) - len(shape))))
    return x.sum(axis=tuple(i for i, n in enumerate(shape) if n < x.shape[i]), keepdims=True)


def linear(name, numpy, other, **rules):
    """A linear primitive of one operand with a `shape`; its transpose is the primitive other()."""
    p = Primitive(name, numpy, **rules)
    p.jvp = lambda x, t, **params: (p(*x, **params), p(*t, **params))
    p.transpose = lambda ct, x, shape, lead=0: [other()(ct, shape=np.shape(x), lead=lead)]
    p.batch = lambda x, _, shape, lead=0: p(*x, shape=(np.shape(*x)[0], *shape), lead=lead + 1)
    return p


broadcast = linear("broadcast", np_broadcast, lambda: sum_to)
sum_to = linear("sum_to", np_sum_to, lambda: broadcast)


def fit(x, shape):
    """x, broadcast or summed to the shape if it has another one."""
    if np.shape(x) == shape:
        return x
    return (broadcast if np.prod(shape) > np.prod(np.shape(x)) else sum_to)(x, shape=shape)


def elementwise(name, numpy, opencl, **rules):
    """A primitive that goes element by element; under vmap it is itself, operands lined up."""

    def batch(args, batched):
        rank = max(len(np.shape(x)) - b for x, b in zip(args, batched))
        for i, (x, b) in enumerate(zip(args, batched)):
            ones = (1,) * (rank + b - len(np.shape(x)))
            if b and ones:
                args[i] = broadcast(x, shape=(np.shape(x)[0], *ones, *np.shape(x)[1:]), lead=1)
        return p(*args)

    p = Primitive(name, numpy, opencl=opencl.format, batch=batch, **rules)
    return p


def unary(name, numpy, opencl, slope):
    """An elementwise primitive of one operand; slope(x, y, t) is the tangent of y."""

    def jvp(x, t):
        y = p(*x)
        return y, slope(*x, y, *t)

    # only called where the primitive is applied to a tangent, so where its slope is constant
    p = elementwise(name, numpy, opencl, jvp=jvp, transpose=lambda ct, x: [slope(x, None, ct)])
    return p


def binary(name, numpy, opencl, slopes):
    """An elementwise primitive that is linear in either operand; slopes[i](x, y, t)."""

    def jvp(primals, tangents):
        out = p(*primals)
        parts = [s(*primals, t) for s, t in zip(slopes, tangents) if t is not None]
        return out, fit(parts[0] if len(parts) == 1 else add(*parts), np.shape(out))

    def transpose(ct, x, y):
        pairs = zip((x, y), slopes)
        return [fit(s(x, y, ct), v.shape) if isinstance(v, Unknown) else None for v, s in pairs]

    p = elementwise(name, numpy, opencl, jvp=jvp, transpose=transpose)
    return p


add = binary("add", np.add, "({} + {})", (lambda x, y, t: t, lambda x, y, t: t))
mul = binary(
    "mul", np.multiply, "({} * {})", (lambda x, y, t: mul(t, y), lambda x, y, t: mul(t, x))
)
neg = unary("neg", np.negative, "(-{})", lambda x, y, t: neg(t))
sin = unary("sin", np.sin, "sin({})", lambda x, y, t: mul(t, cos(x)))
cos = unary("cos", np.cos, "cos({})", lambda x, y, t: neg(mul(t, sin(x))))
exp = unary("exp", np.exp, "exp({})", lambda x, y, t: mul(t, y))


# ---------------------------------------------------------------- jit: one kernel


def jaxpr(f, *shapes):
    """The record of f: its arguments, its equations, its result."""
    with current(RecordTrace()) as trace:
        args = [trace.unknown(shape) for shape in shapes]
        return args, trace.equations, f(*args)


def kernel(args, equations, result):
    """OpenCL C of an elementwise record: one work-item an element, every value in a register."""
    names = {id(x): f"x{i}[i]" if x.shape else f"x{i}[0]" for i, x in enumerate(args)}
    text = lambda x: names[id(x)] if isinstance(x, Unknown) else f"{float(x)!r}f"
    lines = []
    for place, (out, p, operands, _) in enumerate(equations):
        if p.opencl is None or any(np.shape(x) not in ((), result.shape) for x in (out, *operands)):
            raise NotImplementedError(f"{p.name} needs more than one loop here; see lowering/")
        lines.append(f"  float v{place} = {p.opencl(*map(text, operands))};")
        names[id(out)] = f"v{place}"
    parameters = [f"__global const float *x{i}" for i in range(len(args))]
    head = f"__kernel void f({', '.join(parameters)}, __global float *out) {{"
    return "\n".join(
        [head, "  int i = get_global_id(0);", *lines, f"  out[i] = {text(result)};", "}"]
    )


def jit(f):
    """f as one kernel; built once for each list of shapes."""
    import pyopencl as cl

    built = {}

    def jitted(*args):
        if any(isinstance(x, Tracer) for x in args):
            return f(*args)  # under another transformation its equations are recorded one by one
        arrays = [np.ascontiguousarray(x, np.float32) for x in args]
        key = tuple(x.shape for x in arrays)
        if key not in built:
            record = jaxpr(f, *key)
            context = cl.create_some_context(interactive=False)
            program = cl.Program(context, kernel(*record)).build()
            built[key] = cl.CommandQueue(context), program.f, record[2].shape
        queue, launch, shape = built[key]
        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        buffers = [cl.Buffer(queue.context, flags, hostbuf=x) for x in arrays]
        out = np.empty(shape, np.float32)
        result = cl.Buffer(queue.context, cl.mem_flags.WRITE_ONLY, out.nbytes)
        launch(queue, (out.size,), None, *buffers, result)
        cl.enqueue_copy(queue, out, result)
        return out

    return jitted


if __name__ == "__main__":
    wave = lambda x: sin(x) * exp(-(x * x))
    slope = vmap(grad(wave))
    points = np.linspace(-2, 2, 5, dtype=np.float32)
    print(kernel(*jaxpr(slope, (5,))))
    print("one kernel  ", jit(slope)(points))
    print("evaluated   ", slope(points))
    print("second      ", jit(vmap(grad(grad(wave))))(points))
