"""A first run: SAM stuck at a saddle that gradient descent leaves.

Two hundred particles start around the saddle of x^2/2 - y^2/2 + y^4/4, each with eleven values
of rho. Gradient descent (rho = 0) always escapes; the larger rho, the more particles SAM keeps.
"""

import matplotlib.pyplot as plt
import numpy as np

import samdyn as sd

loss = sd.Loss("x**2/2 - y**2/2 + y**4/4")
run = sd.simulate(
    sd.Map(loss, sd.SAM(lr=0.05, rho=np.linspace(0.0, 0.5, 11))),
    x0=sd.ball(200, center=(0, 0), radius=0.3, seed=0),
    steps=2_000,
    until=sd.Escape("y > 0.8 or y < -0.8"),
)
trapped = (run.reason == 0).mean("particle")
for rho, share in zip(run.rho.values, trapped.values, strict=True):
    print(f"rho = {rho:.2f}: {share:5.1%} still at the saddle after {int(run.steps.max())} steps")

fig, ax = plt.subplots(layout="constrained")
ax.plot(run.rho, trapped, "o-", color=sd.plot.COLORS[0])
ax.set(xlabel=r"ascent radius $\rho$", ylabel="share of particles still at the saddle")
fig.savefig("first_run.png")
