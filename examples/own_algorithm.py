"""An algorithm of one's own: one function, and every reading of it follows.

Here SAM whose ascent radius shrinks with the gradient, rho |g| / (1 + |g|): far from critical
points it is SAM, near them it is un-normalised SAM. Does it trap particles at a saddle?
"""

import samdyn as sd
from samdyn.words import norm, unit


@sd.algorithm
def soft_sam(grad, w, *, lr, rho):
    """One step of the algorithm, in the words that every reading understands."""
    g = grad(w)
    radius = rho * norm(g) / (1.0 + norm(g))
    return w - lr * grad(w + radius * unit(g))


loss = sd.Loss("x**2/2 - y**2/2 + y**4/4")
points = sd.ball(1_000, center=(0, 0), radius=0.1, seed=0)
escape = sd.Escape("y > 0.8 or y < -0.8")
for algorithm in (sd.SAM(lr=0.05, rho=0.5), soft_sam(lr=0.05, rho=0.5), soft_sam(lr=0.05, rho=1.5)):
    run = sd.simulate(sd.Map(loss, algorithm), points, steps=5_000, until=escape)
    print(f"{algorithm!r}: {float((run.reason == 1).mean()):.1%} escaped")
