"""Experiments on networks. They need torch, which their modules import only to run."""
