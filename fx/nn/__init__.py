"""fx.nn: activations, normalisations, attention, convolutions, pools; parameters are arguments,
state is returned.
"""

from __future__ import annotations

from fx.nn import initializers as initializers
from fx.nn.activations import *  # noqa: F403
from fx.nn.attention import *  # noqa: F403
from fx.nn.convolution import *  # noqa: F403
from fx.nn.images import *  # noqa: F403
from fx.nn.normal import *  # noqa: F403
from fx.nn.normalization import *  # noqa: F403
from fx.nn.scaled import *  # noqa: F403
from fx.numpy.recorded import replace as _record

_record(
    globals(),
    (
        *("celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh"),
        *("leaky_relu", "log_sigmoid", "mish", "relu6", "selu", "sigmoid", "silu", "soft_sign"),
        *("softplus", "squareplus", "swish", "layer_norm", "rms_norm", "group_norm"),
        *("log_softmax", "logsumexp", "one_hot", "softmax", "standardize"),
    ),
)
