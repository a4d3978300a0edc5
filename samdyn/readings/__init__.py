"""How a definition is read: by the lane kernel, by SymPy, by torch."""
