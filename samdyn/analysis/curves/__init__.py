"""Curves: branches of fixed points and cycles, manifolds of saddles."""
