"""Two trained networks: their curvature, sharpness and noise, and the loss between them.

SGD and SAM train a perceptron on digits from the same weights; all that follows looks at the ends.
Needs torch: pip install "samdyn[torch]".
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import samdyn as sd
import samdyn.networks as nets

torch.set_num_threads(1)  # small networks are faster so
model, data = nets.models.mlp(64, 16, 10, activation="tanh"), nets.data.digits()
sam = sd.SAM(lr=0.05, rho=np.array([0.0, 0.2]), momentum=0.9)  # with rho = 0 it is SGD
run = nets.train(model, data, sam, epochs=8, batch_size=32, record=8)

fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="tight")
ends = {}
for name, rho in (("SGD", 0.0), ("SAM", 0.2)):
    problem = nets.Problem(nets.trained(model, run.sel(rho=rho)), data.train)
    w = ends[name] = problem.start()  # of the trained module: where training ended

    top = nets.curvature.eigenpairs(problem, w, k=2, tol=1e-3)
    for value, residual in zip(top.values, top.residuals, strict=True):
        print(f"{name}: eigenvalue {value:.3f}, residual {residual:.0e}")
    trace = nets.curvature.trace(problem, w, probes=30)
    print(f"  trace {trace.value:.2f} ± {trace.standard_error:.2f} (standard error)")
    for kind in ("worst", "ascent", "average"):
        rise = nets.sharpness(problem, w, kind, rho=0.2, restarts=1, draws=20)
        print(f"  {kind} rise of the loss within 0.2: {rise.value:.3g} ({rise.low:.3g} at least)")
    noise = nets.noise.gradient_noise(problem, w, probes=10)
    print(
        f"  noise: trace {noise.trace:.3f}, cosine with curvature {noise.cosine:.3f} "
        f"± {noise.errors['cosine']:.3f}, alignment {noise.alignment:.2f}"
    )

    spectrum = nets.curvature.density(problem, w, probes=3, steps=40).curve()
    axes[0].plot(spectrum.eigenvalue, spectrum.density, label=name)
axes[0].set(yscale="log", ylim=(1e-5, 1e2), xlabel="eigenvalue of the Hessian", ylabel="density")
axes[0].legend()

between = nets.landscape.interpolate(problem, ends["SGD"], ends["SAM"], test=problem.on(data.test))
print(f"barrier of the training loss between them: {nets.landscape.barrier(between):.4f}")
axes[1].plot(between.t, between.train_loss, label="train")
axes[1].plot(between.t, between.test_loss, label="test")
axes[1].set(ylim=(0, None), xlabel="SGD at 0, SAM at 1", ylabel="loss")
axes[1].legend()

across = nets.landscape.random_direction(problem, ends["SGD"], seed=0)
axis = np.linspace(-0.5, 1.5, 11)
plane = nets.landscape.slice2d(
    problem, ends["SGD"], (ends["SAM"] - ends["SGD"], across), axis, axis - 0.5
)
levels = np.log10(plane.train_loss.transpose("y", "x"))
lines = axes[2].contour(plane.x, plane.y, levels, levels=12)
axes[2].clabel(lines, fontsize=7)
axes[2].plot([0, 1], [0, 0], "o", color="black")
axes[2].set(xlabel="SGD at 0, SAM at 1", ylabel="random", title="log10 of the training loss")
fig.savefig("after_training.png")
