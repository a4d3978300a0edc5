"""Who is stuck at the saddle: the basins of SAM on x^2/2 - y^2/2 + y^4/4.

Gradient descent leaves every neighbourhood of the saddle, but for the line y = 0. Normalised SAM
has three attractors: a small cycle around each minimum, and one at the saddle. The saddle's basin
ends along x = 0 at |y| = rho, where the ascent step lands on the saddle itself.
"""

import matplotlib.pyplot as plt
import numpy as np

import samdyn as sd

lr, rho = 0.05, 0.3
loss = sd.Loss("x**2/2 - y**2/2 + y**4/4")
grid = sd.grid(x=(-1.5, 1.5, 300), y=(-1.5, 1.5, 300))
fig, axes = plt.subplots(1, 2, figsize=(9, 5), layout="constrained")

for ax, algorithm in zip(axes, (sd.GD(lr=lr), sd.SAM(lr=lr, rho=rho)), strict=True):
    found = sd.basins(sd.Map(loss, algorithm), grid)
    print(algorithm)
    for k, kind in enumerate(found.attractor_kind.values):
        x, y = found.point.values[k].round(5) + 0.0
        share, period = float(found.fraction[k]), int(found.period[k])
        print(f"  {kind} of period {period} at ({x:g}, {y:g}): {share:.1%} of the points")
    sd.plot.basins(found, ax=ax)
    ax.set_title(repr(algorithm))

at_saddle = int(np.abs(found.point.sel(row="y")).argmin("attractor"))
column = found.label.sel(x=0.0, method="nearest") == at_saddle
held = found.y.values[column.values]
x = abs(float(found.point.sel(row="x")[at_saddle]))
print(
    f"the saddle's 2-cycle: amplitude {x:.6f}, theory lr rho/(2 - lr) = {lr * rho / (2 - lr):.6f}"
)
print(f"its basin at x = {float(column.x):+.3f}: |y| < {held.max():.3f}, theory rho = {rho:.3f}")
fig.savefig("basins.png")
