"""Linear stability in mean square: Zhou et al.'s theory, its bounds and the exact boundary."""
