"""SAM late in training: what a run shows after the switch, and its two phases."""
