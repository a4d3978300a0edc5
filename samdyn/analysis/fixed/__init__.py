"""Fixed points and cycles: found, classified, and where their stability changes."""
