"""Ensembles: broadcast -> chunks -> kernels -> Dataset."""
