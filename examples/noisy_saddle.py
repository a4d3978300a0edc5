"""How long does noise take to leave a saddle? SGD, SAM and what mends SAM.

Kim et al. (arXiv 2301.06308): SAM's diffusion leaves a saddle more slowly than SGD's, more so with
a larger rho; momentum and small batches mend it. A finite sum of 64 samples around the saddle of
x^2/2 - y^2/2 + y^4/4, minibatches drawn with replacement, 1,000 runs each.
"""

import matplotlib.pyplot as plt
import numpy as np

import samdyn as sd

rng = np.random.default_rng(0)
a, b = rng.standard_normal((2, 64)) * 0.5
samples = {"a": a - a.mean(), "b": b - b.mean()}
loss = sd.Loss("x**2/2 - y**2/2 + y**4/4 + a*x + b*y", variables="x y", data=samples)
start = np.zeros((1_000, 2))
out = sd.Escape("y > 0.7 or y < -0.7")


def escapes(algorithm, batch_size, seed):
    """The escape times of a thousand runs."""
    system = sd.Map(loss, algorithm, batch_size=batch_size)
    return sd.escape_times(sd.simulate(system, start, 5_000, until=out, seed=seed))


lr = 0.02
runs = {
    "SGD": escapes(sd.GD(lr=lr), 16, seed=1),
    "USAM, rho = 0.3": escapes(sd.USAM(lr=lr, rho=0.3), 16, seed=2),
    "USAM, rho = 0.6": escapes(sd.USAM(lr=lr, rho=0.6), 16, seed=3),
    "USAM, rho = 0.6, momentum 0.9": escapes(sd.USAM(lr=lr, rho=0.6, momentum=0.9), 16, seed=4),
    "USAM, rho = 0.6, batches of 2": escapes(sd.USAM(lr=lr, rho=0.6), 2, seed=5),
}
print("steps until half of the runs have left the saddle, with 95 % intervals:")
for name, times in runs.items():
    low, high = times.median_interval
    print(f"  {name:<30} {times.median:6.0f}  ({low:.0f} to {high:.0f})")

test = sd.logrank(runs["SGD"], runs["USAM, rho = 0.6"])
print(f"\nSGD leaves {test.hazard_ratio:.0f} times as often as USAM with rho = 0.6")

print("\nmean squared displacement along y after 100 steps on the quadratic part, exact:")
quadratic = sd.Loss("x**2/2 - y**2/2 + a*x + b*y", variables="x y", data=samples)
for algorithm in (sd.GD(lr=lr), sd.USAM(lr=lr, rho=0.3), sd.USAM(lr=lr, rho=0.6)):
    spread = sd.displacement(sd.Map(quadratic, algorithm, batch_size=16), [0.0, 0.0], 100)
    along_y = float(spread.isel(time=-1).sel(direction=0))
    print(f"  {algorithm!s:<45} {along_y:.5f}")

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
sd.plot.survival(runs, ax=ax)
fig.savefig("noisy_saddle.png")
