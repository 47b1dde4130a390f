"""fx.example_libraries: small layers (`stax`) and optimisers (`optimizers`) under JAX's names."""

from fx.example_libraries import optimizers as optimizers
from fx.example_libraries import stax as stax
