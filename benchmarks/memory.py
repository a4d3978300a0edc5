"""Memory: the most that a run of many particles takes, which must not depend on its steps.

Each run has a process of its own, since the peak of a process never falls again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

_RUN = """
import resource, sys, time
import numpy as np, xarray as xr
import samdyn as sd
particles, steps = map(int, sys.argv[1:])
random = np.random.default_rng(0)
lr, rho = (xr.DataArray(random.uniform(low, 10 * low, particles), dims="particle")
           for low in (1e-5, 1e-2))
system = sd.Map(sd.Loss("x**2/2 - y**2/2 + y**4/4"), sd.SAM(lr=lr, rho=rho))
x0 = random.uniform(-0.6, 0.6, (particles, 2))
began = time.perf_counter()
sd.simulate(system, x0, steps, until=sd.Escape(center=(0, 0), radius=0.9), progress=False)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024), seconds)
"""

TOLERANCE = 0.1
"""The part by which the peaks of a short and of a long run may differ."""


def peak(particles: int, steps: int) -> tuple[float, float]:
    """The peak memory in MiB of a run in a fresh process, and the seconds it took."""
    command = [sys.executable, "-c", _RUN, str(particles), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    size, seconds = map(float, done.stdout.split())
    return size / 2**20, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--particles", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=1_000, help="of the longer run")
    parser.add_argument("--full", action="store_true", help="100,000 steps: takes minutes")
    options = parser.parse_args()
    longest = 100_000 if options.full else options.steps
    peaks = []
    for steps in (10, longest):
        size, seconds = peak(options.particles, steps)
        peaks.append(size)
        print(
            f"{options.particles} particles x {steps} steps: peak {size:.0f} MiB, {seconds:.1f} s",
            flush=True,
        )
    if max(peaks) > (1 + TOLERANCE) * min(peaks):
        sys.exit("the peak depends on the number of steps")
    print("the peak does not depend on the number of steps")


if __name__ == "__main__":
    main()
