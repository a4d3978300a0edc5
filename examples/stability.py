"""SAM makes an attractor of a saddle: Theorem 1 of Kim et al. (arXiv 2301.06308), Beale's saddle.

Un-normalised SAM steps along grad L(w + rho grad L(w)). Beside a saddle with the negative
eigenvalue -l, what grew at the rate l grows at l (1 - rho l): from rho = 1/l on, the saddle is an
attractor. Normalised SAM needs no such rho: a small 2-cycle across the saddle holds it.
"""

import numpy as np

import samdyn as sd

loss = sd.losses.beale()
saddle = [0.0, 1.0]
low, high = np.linalg.eigvalsh(loss.hessian(saddle))
print(f"Beale's saddle {saddle}: the Hessian has the eigenvalues {low:.4g} and {high:.4g}")

usam = sd.Map(loss, sd.USAM(lr=1e-3, rho=0.01))
found = sd.stability_threshold(usam, saddle, "rho")
print(f"theory: rho* = 1/{-low:.4g} = {-1 / low:.10f}")
print(f"found:  rho* = {found.formula} = {found.value:.10f}; {found.below} -> {found.above}\n")

box = [(-0.05, 0.05), (0.95, 1.05)]
for factor in (0.9, 1.1):
    print(f"fixed points of un-normalised SAM around the saddle, rho = {factor} rho*:")
    for point in sd.fixed_points(usam.replace(rho=factor * found.value), box):
        print(f"  {point}")

lr, rho = 1e-3, 0.005
sam = sd.Map(loss, sd.SAM(lr=lr, rho=rho))
print(f"\n2-cycles of normalised SAM around the saddle, rho = {rho}:")
for cycle in sd.cycles(sam, 2, box=[(-0.001, 0.001), (0.999, 1.001)]):
    amplitude = np.linalg.norm(cycle.path[1] - cycle.path[0]) / 2
    print(f"  {cycle.kind} of amplitude {amplitude:.4e}")
for eigenvalue in (high, low):
    amplitude = lr * rho * abs(eigenvalue) / (2 - lr * eigenvalue)
    print(f"theory, along the eigenvector of {eigenvalue:+.4g}: {amplitude:.4e}")

print(f"\n1,024 particles started at the saddle, and whether they leave the ball of {rho}:")
for algorithm in (sd.GD(lr=lr), sd.SAM(lr=lr, rho=rho)):
    print(
        f"  {algorithm}: {sd.trapping(sd.Map(loss, algorithm), saddle, radius=rho, steps=10_000)}"
    )
