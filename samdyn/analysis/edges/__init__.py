"""Closed forms on a quadratic: edges of stability, the 2-cycle of SAM, its ascent."""
