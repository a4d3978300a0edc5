"""The version, which names compiled kernels and results too."""

VERSION = "0.1.0"
