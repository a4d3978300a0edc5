"""Stochastic SAM: samdyn beside its peers, its generator beside NumPy's, and its memory.

Prints million particle-steps a second for each and how many times faster samdyn is, after a check
that the peers' ensembles agree with samdyn's within statistical errors. See README.md.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import stochastic_peers as peers

import samdyn as sd

HORIZON = 100
"""Steps after which the ensembles are compared."""

ERRORS = 5.0
"""Standard errors by which a peer may differ."""

SECONDS = 0.7
"""How long a timed run of anyone takes, about."""

STEPS = (20, 2_000)
"""The fewest and the most steps of a timed run."""

CHANCE = 0.6
"""Variants of a peer that were slower than this part of its best in a trial are not timed."""

TARGETS = {"JAX": 15.0, "diffrax": 20.0, "torchsde": 60.0}
GENERATOR_TARGET = 2.0

Variants = dict[tuple[str, str], peers.Run]


def contestants(work: peers.Work, start: np.ndarray, chosen: list[str]) -> Variants:
    """Each variant of samdyn and of the chosen peers that can run here."""
    everyone = {"samdyn": peers.samdyn} | {name: peers.PEERS[name] for name in chosen}
    return {
        (name, variant): run
        for name, peer in everyone.items()
        for variant, run in peer(work, start).items()
    }


def check(work: peers.Work, start: np.ndarray, everyone: Variants) -> float:
    """Let all take HORIZON steps; return the largest difference in standard errors, or stop.

    Compared are mean squared displacement and share of escaped particles, over the same initial
    points, so that the error is that of the mean of differences. The first call also compiles.
    """

    def seen(w: np.ndarray) -> np.ndarray:
        return np.array([((w - start) ** 2).sum(0), np.hypot(*w) > work.radius], float)

    ours = seen(everyone["samdyn", ""](HORIZON))
    worst = 0.0
    for (name, variant), run in everyone.items():
        theirs = run(HORIZON)
        if name.startswith("samdyn"):
            continue  # with the bridge others escape
        apart = seen(theirs) - ours
        error = np.maximum(apart.std(1), 1e-300) / np.sqrt(start.shape[1])
        gap = float(np.max(np.abs(apart.mean(1)) / error))
        if not gap <= ERRORS:
            sys.exit(f"{name} {variant} does not agree with samdyn: {gap:.1f} standard errors")
        worst = max(worst, gap)
    return worst


def enough_steps(run: peers.Run, seconds: float) -> int:
    """Steps that take a variant about so long."""
    steps, spent = STEPS[0], 0.0
    while spent < seconds / 3 and steps < STEPS[1]:  # a call's fixed cost must not count
        began = time.perf_counter()
        run(steps)
        spent = time.perf_counter() - began
        steps *= 4
    return int(np.clip(steps / 4 * seconds / spent, *STEPS))


def measure(
    work: peers.Work, start: np.ndarray, everyone: Variants, repeats: int, seconds: float
) -> dict[str, tuple[float, str]]:
    """The best rate of each, and the variant that had it; all run once before anyone runs again."""
    steps = {who: enough_steps(run, seconds) for who, run in everyone.items()}
    most = {name: max(k for (one, _), k in steps.items() if one == name) for name, _ in steps}
    steps = {who: k for who, k in steps.items() if k >= CHANCE * most[who[0]]}
    ball = sd.Escape(center=(0.0, 0.0), radius=work.radius)
    run = sd.simulate(work.system, start.T, max(steps.values()), until=ball, progress=False)
    lives = run["steps"].values
    rates: dict[str, tuple[float, str]] = {}
    for _ in range(repeats):
        for who, count in steps.items():
            began = time.perf_counter()
            everyone[who](count)
            spent = time.perf_counter() - began
            # what diffrax and torchsde do not count is the same in law for all
            rate = float(np.minimum(lives, count).sum()) / spent / 1e6
            rates[who[0]] = max(rates.get(who[0], (0.0, "")), (rate, who[1]))
    return rates


def report(title: str, rates: dict[str, tuple[float, str]]) -> None:
    """Print one piece of work's part of the table."""
    print(f"\n{title}")
    ours = rates["samdyn"][0]
    for name, (rate, variant) in rates.items():
        line = f"  {name:16}{rate:12.4g} M/s"
        if name != "samdyn":
            line += f"   {ours / rate:9.3g} x"
        if name in TARGETS:
            met = ours / rate >= TARGETS[name]
            line += f"   target {TARGETS[name]:4g} {'met' if met else 'MISSED'}"
        print(line + (f"   ({variant})" if variant else ""), flush=True)


def generator(particles: int, repeats: int, seconds: float) -> None:
    """Print the nanoseconds of one core for a normal and for a uniform, samdyn's and NumPy's.

    samdyn's are those of a simulation: of dX = dW, and of GD on the mean of a*x, whose batch of 64
    makes a sample's number of each uniform, looks it up and adds it. NumPy's fill a block in cache.
    """
    motion = sd.FormulaSDE({"x": "0", "y": "0"}, {"x": "1", "y": "1"}, dt=1.0)
    table = np.random.default_rng(0).normal(size=64)
    descent = sd.Map(sd.Loss("a*x", data={"a": table}), sd.GD(lr=1e-3), batch_size=64)
    block = np.empty(8192)
    alone = partial(sd.simulate, threads=1, progress=False)

    runs: dict[tuple[str, str], tuple[Callable[[int], object], int]] = {
        ("normal", "samdyn"): (
            partial(alone, motion, np.zeros((particles, 2))),
            2 * particles,
        ),
        ("uniform", "samdyn"): (
            partial(alone, descent, np.zeros((particles, 1))),
            64 * particles,
        ),
    }
    for bits in (np.random.SFC64, np.random.PCG64DXSM, np.random.Philox):
        random = np.random.Generator(bits(0))
        for kind, fill in (("normal", random.standard_normal), ("uniform", random.random)):
            runs[kind, f"NumPy {bits.__name__}"] = (partial(_filled, fill, block), block.size)
    steps = {}
    for who, (run, _) in runs.items():
        run(1)  # compiles
        steps[who] = enough_steps(run, seconds)
    best: dict[tuple[str, str], float] = {}
    for _ in range(repeats):
        for who, (run, drawn) in runs.items():
            began = time.perf_counter()
            run(steps[who])
            spent = (time.perf_counter() - began) / (steps[who] * drawn) * 1e9
            best[who] = min(best.get(who, np.inf), spent)
    for kind in ("normal", "uniform"):
        print(f"\ngenerator alone, one core: a {kind}")
        fastest = min(t for (one, who), t in best.items() if one == kind and who != "samdyn")
        for (one, who), spent in best.items():
            if one != kind:
                continue
            line = f"  {who:16}{spent:12.3g} ns"
            if who == "samdyn":
                ratio = spent / fastest
                line += f"   {ratio:.2f} x NumPy's fastest   target at most {GENERATOR_TARGET:g}"
                line += " met" if ratio <= GENERATOR_TARGET else " MISSED"
            print(line, flush=True)


def _filled(fill: Callable, block: np.ndarray, times: int) -> None:
    for _ in range(times):
        fill(out=block)


_RUN = """
import resource, sys, time
import samdyn as sd, stochastic_peers as peers
which, particles, steps = map(int, sys.argv[1:])
work = peers.WORK[which]
ball = sd.Escape(center=(0.0, 0.0), radius=work.radius)
x0 = work.points(particles).T
began = time.perf_counter()
sd.simulate(work.system, x0, steps, until=ball, progress=False)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024), seconds)
"""

TOLERANCE = 0.1
"""The part by which the peaks of a short and of a long run may differ."""


def peak(which: int, particles: int, steps: int) -> tuple[float, float]:
    """The peak memory in MiB of a run in a fresh process, and the seconds it took."""
    command = [sys.executable, "-c", _RUN, *map(str, (which, particles, steps))]
    folder = Path(__file__).parent
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    size, seconds = map(float, done.stdout.split())
    return size / 2**20, seconds


def memory(particles: int, longest: int, only: str) -> None:
    """Print the peak memory of short and long runs."""
    for which, work in enumerate(peers.WORK):
        if only not in work.title:
            continue
        peak(which, 10, 10)  # compiles, which takes memory too
        peaks = []
        for steps in (10, longest):
            size, seconds = peak(which, particles, steps)
            peaks.append(size)
            said = f"{work.title}: {particles} particles x {steps} steps"
            print(f"{said}: peak {size:.0f} MiB, {seconds:.1f} s", flush=True)
        if max(peaks) > (1 + TOLERANCE) * min(peaks):
            sys.exit("the peak depends on the number of steps")
    print("the peak does not depend on the number of steps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs, two repeats")
    parser.add_argument("--repeats", type=int, help="runs of each, the best counts (default 5)")
    parser.add_argument("--particles", type=int, help="a multiple of 8192 (default 65536)")
    parser.add_argument("--only", default="", help="only what has this in its title; or generator")
    parser.add_argument("--peers", help="only these, with commas between: JAX,diffrax")
    parser.add_argument("--memory", action="store_true", help="peak memory of a million particles")
    parser.add_argument("--steps", type=int, default=500, help="of the longer runs of --memory")
    parser.add_argument("--full", action="store_true", help="--memory with 100,000 steps: an hour")
    options = parser.parse_args()
    if options.memory or options.full:
        longest = 100_000 if options.full else options.steps
        memory(options.particles or 1_000_000, longest, options.only)
        return
    particles = options.particles or 65_536
    chosen = options.peers.split(",") if options.peers else list(peers.PEERS)
    unknown = set(chosen) - set(peers.PEERS)
    if unknown:
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(peers.PEERS)}")
    seconds, repeats = (0.2, 2) if options.quick else (SECONDS, 5)
    repeats = options.repeats or repeats
    print(f"{platform.machine()}, {peers.THREADS} threads, {particles} particles, float64")
    for work in peers.WORK:
        if options.only not in work.title:
            continue
        start = work.points(particles)
        everyone = contestants(work, start, chosen)
        worst = check(work, start, everyone)
        title = f"{work.title}  (agrees within {worst:.1f} standard errors after {HORIZON} steps)"
        report(title, measure(work, start, everyone, repeats, seconds))
    if options.only in "generator":
        generator(particles, repeats, seconds)


if __name__ == "__main__":
    main()
