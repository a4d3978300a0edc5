"""Dynamical systems: an algorithm on a loss as a map or as a flow, or any map by formulas."""
