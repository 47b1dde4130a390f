"""fx.scipy.special: gamma, beta, error, exponential-integral and Bessel functions and their kin."""

from __future__ import annotations

from fx.scipy.special.basic import *  # noqa: F403
from fx.scipy.special.bessel import *  # noqa: F403
from fx.scipy.special.integrals import *  # noqa: F403
from fx.scipy.special.legendre import *  # noqa: F403
from fx.scipy.special.series import *  # noqa: F403
