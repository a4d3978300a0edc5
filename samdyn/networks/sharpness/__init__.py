"""Sharpness of a network at finite rho: how much the loss rises within a distance."""

from samdyn.networks.sharpness.finite import Sharpness, sharpness

__all__ = ["Sharpness", "sharpness"]
