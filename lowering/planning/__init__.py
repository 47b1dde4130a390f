"""Groups to Plan: steps, buffers, programs."""
