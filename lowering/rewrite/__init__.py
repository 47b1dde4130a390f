"""Graph to Graph: what the later stages want to see, and what need not be computed at all."""
