"""Dynamical systems: an algorithm on a loss."""
