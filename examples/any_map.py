"""Any map by its formula: the logistic map, its bifurcations, and its Lyapunov exponent.

What is simulated is laid under what is computed: the dots are long runs, the lines are branches
of fixed points and 2-cycles, followed by continuation where they are unstable too.
"""

import matplotlib.pyplot as plt
import numpy as np

import samdyn as sd

logistic = sd.FormulaMap({"x": "r*x*(1 - x)"}, r=3.2)
r = np.linspace(2.6, 4.0, 1_000)

diagram = sd.bifurcation(logistic, "r", r, 0.3, directions=["up"], samples=150)
fixed = sd.continuation(logistic, "r", 0.6875, (2.6, 4.0))
(two,) = sd.cycles(logistic, 2, box=[(0, 1)])
branch = sd.continuation(logistic, "r", two.point, (2.6, 4.0), period=2)
exponents = sd.lyapunov(logistic.replace(r=r), 0.3, 5_000, after=1_000).exponents[:, 0]

print(f"at r = 3.2: {two}")
first, second = fixed.special_value.values[0], branch.special_value.values[-1]
print(f"the fixed point doubles its period at r = {first:.12f}, theory 3")
print(f"its 2-cycle does at             r = {second:.12f}, theory 1 + sqrt(6) = {1 + 6**0.5:.12f}")
log2 = float(sd.lyapunov(logistic.replace(r=4.0), 0.3, 1_000_000).exponents[0])
print(f"Lyapunov exponent at r = 4: {log2:.5f}, theory log 2 = {np.log(2):.5f}")

fig, (top, low) = plt.subplots(2, 1, figsize=(7, 7), sharex=True, layout="constrained")
sd.plot.bifurcation(diagram, branch=[fixed, branch], ax=top)
top.set_xlabel("")
low.axhline(0.0, color="0.6", lw=0.8)
low.plot(r, exponents, color=sd.plot.COLORS[0], lw=0.8)
low.set(xlabel="$r$", ylabel="Lyapunov exponent", ylim=(-2.5, 1.0))
fig.savefig("any_map.png")
