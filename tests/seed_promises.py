"""What the four libraries promise, row by row: identifier -> what must hold here.

tests/test_seeds_complete.py fails if a row has no test. S: semantics decided once; Z, T, F, A: the
four libraries; M: claims that are measured, here by counters; C: compositions. A test carries its
rows' identifiers in its name (test_Z5_Z18_...).
"""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


# ---------------------------------------------------------------- rows that are promises

SEMANTICS = {
    "S1": "a target that is no scalar: grad raises with the shape, vjp takes ones as its seed",
    "S2": "a source without influence has gradient zero, or None if asked",
    "S3": "ties of maximum and minimum are split evenly",
    "S4": "variances divide by n unless ddof or correction says otherwise",
    "S5": "clip passes half at its bounds, lax.clamp nothing",
    "S6": "gelu has the tanh form by default and the erf form by a flag",
    "S7": "tile, repeat, swapaxes, transpose and array_split mean what NumPy means",
}

ZYX = {
    "Z1": "the jaxpr is the tape: make_jaxpr shows it, vjp gives the pullback",
    "Z2": "forward and backward are one program with shared subexpressions",
    "Z3": "tracing allocates no device memory and launches nothing",
    "Z4": "a thin Tape runs the listing line for line",
    "Z5": "gradients by several sources at once",
    "Z6": "pullbacks and pushforwards are functions: called twice they say the same",
    "Z7": "gradients by any argument; unused ones cost nothing and can be asked for",
    "Z8": "what is differentiated is chosen at the derivative, not at creation",
    "Z9": "derivatives of any order",
    "Z10": "under jit the backward pass keeps no intermediates",
    "Z11": "a trace holds types, not data",
    "Z12": "residuals go with the pullback",
    "Z13": "transfers between host and device keep every bit",
    "Z14": "devices can be listed and chosen; none at all is a clear error",
    "Z15": "random numbers come from a key, the same on every device",
    "Z16": "arrays from nested lists",
    "Z17": "operators build one fused kernel",
    "Z18": "gradient by any set of variables",
    "Z19": "gradients of gradients",
    "Z20": "optimisers are pairs of pure functions",
    "Z21": "loss, gradient and parameters of a model",
    "Z22": "no flag marks what is differentiated, and code that is not costs nothing",
    "Z23": "what is stored for the backward pass is known before running",
    "Z24": "memory stays near the lower bound of liveness",
    "Z25": "operations are fused to custom kernels",
    "Z26": "what the host computes in place of a kernel is counted",
    "Z27": "a model is a plain function; the whole listing takes at most twelve lines",
}

TENFLOWERS = {
    "T1": "eager and compiled gradients agree",
    "T2": "Python control flow on values outside jit, cond inside",
    "T3": "forward mode",
    "T4": "reverse mode",
    "T5": "higher orders",
    "T6": "accumulation over micro-batches",
    "T7": "checkpoint with policies keeps less and changes nothing",
    "T8": "updates of parts of arrays are differentiable; donation reuses memory",
    "T9": "derivatives are checked against differences, and wrong ones are found",
    "T10": "attribution: saliency, integrated gradients, SmoothGrad, guided backpropagation",
    "T11": "Hessian products, Fisher information, Gauss-Newton",
    "T12": "operations are recorded",
    "T13": "values under transformation are Tracers, and errors name what was done to them",
    "T14": "the functional and the object-oriented layer agree",
    "T15": "intermediates are freed at their last use",
    "T16": "gradients run on the device without help of the host",
    "T17": "custom gradients",
    "T18": "forward-mode gradients and their estimator",
    "T19": "clipping, scaling, diagnostics of gradients",
    "T20": "gradient of a sum of products by both factors",
    "T21": "dual numbers",
    "T22": "gradients of recorded gradients",
    "T23": "operations of one's own with forward and backward",
    "T24": "no cost where no gradient is asked for",
    "T25": "shapes and dtypes are checked when traced",
    "T26": "only the gradients that are asked for are computed",
    "T27": "static graphs and passes over them",
    "T28": "every primitive has every rule, or a reason",
    "T29": "layers pass the gradient check",
    "T30": "recording is cheap",
    "T31": "forward mode is cheap for few inputs, reverse for few outputs",
    "T32": "updates in place save allocations",
}

FLODL = {
    "F1": "arguments are variables, what is closed over is constant",
    "F2": "gradients by intermediates",
    "F3": "the recorded program of a sum of products has two equations",
    "F4": "gradients have the parameters' structure",
    "F5": "the gradient of a vector is an error that names its shape",
    "F6": "residuals live as long as the pullback",
    "F7": "nothing accumulates unless asked to",
    "F8": "accumulators start again after their step",
    "F9": "detached values have no derivative",
    "F10": "stop_gradient adds no kernel",
    "F11": "no_grad keeps no residuals",
    "F12": "no_grad nests, and survives errors",
    "F13": "a mistake is an error at once, before anything is launched",
    "F14": "errors name operation, shapes, dtypes and the user's line",
}

AXONML = {
    "A1": "reverse mode",
    "A2": "structure may depend on data",
    "A3": "gradients add up where a value is used often",
    "A4": "no_grad as a function and as a block",
    "A5": "inference compiles to what a function without gradients compiles to",
    "A6": "gradients are checked by differences",
    "A7": "variables have the operations as methods",
    "A8": "the backward pass visits each equation once",
    "A9": "ten thousand operations need no recursion",
    "A10": "a new operation in a few lines",
    "A11": "arithmetic, activations, losses, linear algebra are there",
    "A12": "a variable's gradient as a list",
    "A13": "power, sum, backward",
    "A14": "operators of variables",
    "A15": "activations as methods",
    "A16": "mean squared error",
    "A17": "binary cross entropy, finite at its edges",
    "A18": "products with a bias",
    "A19": "numerical gradients",
    "A20": "analytic against numerical, leaf by leaf",
    "A21": "one command runs the tests, without a device",
}

MEASURED = {
    "M1": "forward work appears once in value_and_grad",
    "M2": "nothing is launched before the call",
    "M3": "the thousandth pullback is like the second",
    "M4": "a compiled chain keeps input, output and cotangent only",
    "M5": "a trace takes less than two kilobytes an equation, and no device memory",
    "M6": "a thousand steps leave nothing behind",
    "M7": "peak memory within 1.10 of the lower bound",
    "M8": "a forward pass alone stores nothing",
    "M9": "launches of fused programs",
    "M10": "derivatives to order ten",
    "M11": "lines of the listing",
    "M12": "the interpreter device gives what the kernels give",
    "M13": "using gradients does not change a function without them",
    "M14": "launches, builds and copies of warm calls",
    "M15": "work of Jacobians by mode",
    "M16": "checkpointed layers keep a square root",
    "M17": "donated steps and loops of updates allocate nothing more",
    "M18": "wrappers without use leave the kernel text as it was",
    "M19": "products in gradients by single layers",
    "M20": "a thousand eager steps leave nothing behind",
    "M21": "thirty ill-typed programs fail when traced",
    "M22": "more tests than 334, and no lint",
    "M23": "gradient kernels are compiled, fused, and found on disk",
    "M24": "gradients on the device agree at every size",
    "M25": "micro-batches mapped, looped, together",
    "M26": "size of the library and of what it loads",
    "M27": "residuals are gone when grad returns",
    "M28": "no_grad costs what the plain function costs",
    "M29": "nested no_grad in three threads",
    "M30": "a mismatch of a gigabyte is found without the gigabyte",
    "M31": "sixty doublings",
    "M32": "inference and training share the forward kernels",
    "M33": "gradient checks at 1e-3 in single and 1e-7 in double precision",
    "M34": "bytes of an Array handle",
    "M35": "launches of a small network's training step",
    "M36": "Adam and clipping are one kernel for all parameters",
}

EXAMPLES = {
    "Z_A": "relu(x) tanh(y) on a tape",
    "Z_B": "exp(x + y) - x and its second derivative",
    "T_A": "sum of x w",
    "T_B": "sin(x) x in dual numbers",
    "T_C": "a cube's derivatives",
    "T_D": "the clipped gradient",
    "F_A": "sum of x w, and its pushforward",
    "A_A": "sum of squares",
    "A_B": "(a b)^2",
    "A_C": "activations inside and outside no_grad",
    "A_D": "losses",
    "A_E": "a linear layer",
    "A_F": "the numerical gradient",
}

PROMISES = SEMANTICS | ZYX | TENFLOWERS | FLODL | AXONML | MEASURED | EXAMPLES

# rows whose check is a value: it must hold eagerly, under jit and under vmap
IN_THREE_FORMS = words(
    "S1 S2 S3 S4 S5 S6 S7 Z1 Z5 Z6 Z7 Z8 Z9 Z16 Z18 Z19 Z20 Z21 T1 T3 T4 T5 T7 T8 T10 T11 T17 T18 "
    "T19 T20 T22 T29 F1 F2 F4 F7 F9 F11 A1 A2 A3 A4 A11 A14 A15 A16 A17 A18 M10 M25 "
    "Z_A Z_B T_A T_B T_C T_D F_A A_A A_B A_C A_D A_E"
)

# ---------------------------------------------------------------- rows that are operations

TENFLOWERS_OPERATIONS = words(
    "add sub mul div pow neg matmul transpose reshape sum mean max relu sigmoid tanh softmax gelu "
    "mish conv2d max_pool2d batch_norm logsumexp layer_norm group_norm"
)

FLODL_OPERATIONS = {
    "arithmetic": words("add sub mul div matmul mul_scalar add_scalar div_scalar neg"),
    "activations": words(
        "relu sigmoid tanh gelu silu leaky_relu elu softplus mish selu hardswish hardsigmoid prelu "
        "softmax log_softmax"
    ),
    "mathematics": words(
        "exp log sqrt abs pow_scalar sin cos sign floor ceil round reciprocal clamp clamp_min "
        "clamp_max log1p expm1 log2 log10 atan2 maximum minimum masked_fill normalize "
        "cosine_similarity triu tril"
    ),
    "reductions": words(
        "sum sum_dim mean mean_dim min max min_dim max_dim var std var_dim std_dim prod prod_dim "
        "cumsum logsumexp"
    ),
    "shapes": words(
        "transpose permute reshape flatten squeeze unsqueeze unsqueeze_many expand narrow select "
        "cat cat_many stack chunk repeat pad index_select gather topk sort"
    ),
    "networks": words(
        "conv1d conv_transpose1d conv2d conv_transpose2d conv3d conv_transpose3d max_pool2d "
        "avg_pool2d max_pool1d avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d instance_norm "
        "group_norm layer_norm grid_sample pixel_shuffle pixel_unshuffle bilinear embedding_bag "
        "im2col col2im"
    ),
}

# ---------------------------------------------------------------- compositions

COMPOSITIONS = (
    "grad(vmap)", "vmap(grad)", "jit(grad(vmap))", "grad(jit)", "vmap(jvp)", "jvp(vjp)", "vjp(jvp)",
    "hessian(vmap)", "grad(scan)", "vmap(scan)", "jit(checkpoint(grad))", "vmap(grad(custom_vjp))",
    "jacfwd(jacrev)", "jacrev(jacfwd)", "grad(grad) without confusion", "grad(while)", "jvp(while)",
    "vmap(cond)", "grad(custom_root)", "jet",
)  # fmt: skip
