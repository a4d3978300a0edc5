"""Escape from saddles and minima: survival data, fits, and the theory beside them."""
