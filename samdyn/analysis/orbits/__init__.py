"""What orbits do over many steps: Lyapunov exponents, bifurcation diagrams."""
