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

found = sd.diagnostics(run, manifold=True)
for step in (0, 100, 104, 200):
    u, v = run.w.sel(time=step).values
    here = found.sel(time=step)
    print(
        f"step {step:3d}: u = {u:+.4f}, v = {v:+.4f}, sharpness {here.top_eigenvalue:.4f}, "
        f"from the minima {here.across:.4f}, along them {here.along:+.4f}"
    )

phases = sd.two_phase(run)
print(
    f"escape: a jump, then the distance grows by a factor {phases.multiplier:.2f} a step, "
    f"until step {int(phases.end)}"
)
print(f"convergence: the loss falls at the rate {phases.convergence_rate:.3f} a step")

fig, axes = plt.subplots(2, 2, figsize=(9, 5.5), layout="constrained")
sd.plot.late(found, phases, ax=axes.ravel())
fig.savefig("late_diagnostics.png")

fig, ax = plt.subplots(layout="constrained")
sd.plot.contours(loss, [(0.0, 2.0), (-0.6, 0.6)], ax=ax)
sd.plot.trajectory(run, ax=ax)
fig.savefig("late_switch.png")
