"""Attraction: what an ensemble ends in, from where, and over which numbers."""
