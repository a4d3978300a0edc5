"""Sharpness: how much the loss rises within a distance rho, and the limits of small rho."""
