"""Manifolds of minimisers: the limit of gradient flow, and how SAM drifts along them."""
