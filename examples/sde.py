"""The diffusion that SAM follows, derived; how long it stays in a well, measured and exact.

Monzio Compagnoni et al. (arXiv 2301.08203) model SAM by a stochastic differential equation. samdyn
derives it from the algorithm's own definition: nothing below is typed but loss and algorithm.
"""

import numpy as np

import samdyn as sd

loss = sd.Loss("x**4/4 - x**2/2 + s*xi*x", noise="xi", s=2.0)
usam = sd.USAM(lr=0.05, rho=0.1)
sde = sd.SDE(loss, usam, dt=0.01)
print("the SDE:         ", sde.latex)
print("the loss it has: ", sde.implicit_loss)

out = sd.Escape("x > 0")
full = sd.SDE(loss, usam, dt=0.01, order=None)
exact, whole = sd.first_passage(sde, out), sd.first_passage(full, out)
run = sd.simulate(sde, np.full(20_000, -1.0), 20_000, until=out, seed=0)
times = sd.escape_times(run)
low, high = times.mean_interval
print(f"\nmean time from the left well to the top, exact:   {exact([-1.0]):.4f}")
print(
    f"measured, the Brownian bridge between the steps:  {times.mean:.4f} ({low:.2f} to {high:.2f})"
)

late = sd.Escape("x > 0", bridge=False)
plain = sd.escape_times(sd.simulate(sde, np.full(20_000, -1.0), 20_000, until=late, seed=0))
print(f"measured at the steps alone:                      {plain.mean:.4f}")

steps = sd.simulate(sd.Map(loss, usam), np.full(20_000, -1.0), 20_000, until=out, seed=1)
own = usam.lr * sd.escape_times(steps).mean
print(f"\nthe algorithm itself, time lr a step:             {own:.4f}")
print(f"the SDE above, to first order in rho:             {exact([-1.0]):.4f}")
print(f"the SDE that keeps all orders of rho:             {whole([-1.0]):.4f}")

well = sd.FormulaSDE(drift={"x": "x - x**3"}, diffusion={"x": "s"}, s=0.7)
print(f"\nany SDE by formula: {well}")
print(f"from -1 to 0: {sd.first_passage(well, out)([-1.0]):.6f}")
