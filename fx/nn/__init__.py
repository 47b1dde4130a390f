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
