"""SAM late in training, on the smallest network: Zhou et al. (arXiv 2410.10373), Example 4.1.

L(u, v) = tanh(v tanh(u))^2 / 2 has its minima on v = 0, sharper where abs(u) is larger. Gradient
descent with learning rate 2.5 stops at a sharp one; after the switch SAM leaves it and settles
where the valley is flatter.
"""

import matplotlib.pyplot as plt

import samdyn as sd

loss = sd.losses.tanh_network()
late = sd.Switch([(0, sd.GD(lr=2.5)), (100, sd.SAM(lr=2.5, rho=0.05))])
run = sd.simulate(sd.Map(loss, late), x0=[1.6, 0.3], steps=200, record=1)

for step in (0, 100, 104, 200):
    w = run.w.sel(time=step).values
    top = sd.losses.tanh_network().hessian([w[0], 0.0])[1, 1]
    print(f"step {step:3d}: u = {w[0]:+.4f}, v = {w[1]:+.4f}, sharpness of the valley {top:.4f}")

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
sd.plot.contours(loss, [(0.0, 2.0), (-0.6, 0.6)], ax=left)
sd.plot.trajectory(run, ax=left)
sd.plot.series(run, ax=right)
right.set_yscale("log")
right.axvline(100, color="0.6", ls=":")
right.annotate("switch to SAM", (100, 1e-6), xytext=(4, 0), textcoords="offset points")
fig.savefig("late_switch.png")
