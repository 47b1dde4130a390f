"""The parts of fx.random, by idea: keys, uniform samples, and the distributions made from them."""
