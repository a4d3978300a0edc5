"""How the field writes and calls the numbers of a system."""

from __future__ import annotations

LATEX = {
    "lr": (r"\eta", "learning rate"),
    "dt": (r"\Delta t", "length of a step"),
    "batch_size": ("B", "samples in a batch"),
    "rho": (r"\rho", "ascent radius"),
    "momentum": (r"\beta", "momentum"),
    "weight_decay": (r"\lambda", "weight decay"),
    "alpha": (r"\alpha", "share of the way kept by lookahead"),
    "eta": (r"\epsilon", "size added to each weight by ASAM"),
}
"""Name -> (LaTeX, in words)."""
