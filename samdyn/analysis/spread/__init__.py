"""How far noise spreads particles about a point: exact moments of the linearised dynamics."""
