"""Where SAM drifts along the minimisers: Wen, Ma and Li (arXiv 2211.05729) on x*y = 1.

All points of the hyperbola minimise (x*y - 1)^2; the largest eigenvalue of the Hessian,
2 (x^2 + y^2), is least at (1, 1). Gradient descent stops where it first arrives. SAM goes on,
across the valley and back at every step, and drifts along it by the flow of that eigenvalue in the
slow time lr rho^2 t, faster by (1 - lr lambda/2)^-2.
"""

import matplotlib.pyplot as plt
import numpy as np

import samdyn as sd

loss = sd.losses.scalar_factorization()
start, lr, rho, last = [2.0, 0.6], 0.02, 0.02, 0.6

arrived = sd.project(loss, start)
x, y = arrived.point
print(f"gradient flow from {start} ends at a {arrived.kind}: ({x:.6f}, {y:.6f})")
print(f"it keeps x^2 - y^2: {start[0] ** 2 - start[1] ** 2:.6f} and {x**2 - y**2:.6f}")

every = round(last / (lr * rho**2) / 30)
sam = sd.Map(loss, sd.SAM(lr=lr, rho=rho))
run = sd.simulate(sam, start, 30 * every, record=every)
slow = lr * rho**2 * run.time.values
flow = sd.limiting_flow(loss, start, slow, lr=[0.0, lr])
path = sd.along_and_across(loss, run.w)

print("\nslow time   SAM, projected      flow, lr -> 0       flow of this lr")
for k in (0, 10, 20, 30):
    points = (path.projection.values[k], *flow.w.values[:, k])
    print(f"{slow[k]:9.2f}   " + "   ".join(f"({a:.5f}, {b:.5f})" for a, b in points))

top = float(flow.top_eigenvalue.sel(lr=lr)[-1])
ends = sd.project(loss, [run.final.values, sam.apply(run.final.values)]).distance
print(f"\ndistance from the hyperbola, this side and that: {ends[0]:.6f}, {ends[1]:.6f}")
print(f"their mean:                  {ends.mean():.6f}")
print(f"theory, lr rho l/(2 - lr l): {lr * rho * top / (2 - lr * top):.6f}")

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
sd.plot.contours(loss, [(0.3, 2.3), (0.3, 2.3)], ax=left, log=True)
left.plot(*run.w.values.T, "o-", ms=3, color=sd.plot.COLORS[1], label="SAM")
s = np.linspace(0.4, 2.3, 200)
left.plot(s, 1 / s, "k:", lw=1, label="minimisers")
left.legend(loc="upper right", frameon=True)
for k, label in enumerate(("flow, lr to 0", "flow of this lr")):
    right.plot(slow, flow.top_eigenvalue[k], color=("black", sd.plot.COLORS[0])[k], label=label)
sharpness = 2 * (path.projection**2).sum("coord")
right.plot(slow, sharpness, "o", ms=4, mfc="none", color=sd.plot.COLORS[1], label="SAM")
right.set(xlabel=r"slow time lr $\rho^2 t$", ylabel="largest eigenvalue of the Hessian")
right.legend()
fig.savefig("limiting_flow.png")
