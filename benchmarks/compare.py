"""samdyn beside its peers, on the same work in the same run.

Prints million particle-steps a second for each and how many times faster samdyn is, after a
check that all of them arrive at the same points. See README.md.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from typing import NamedTuple

import numpy as np
import peers
import work as works

HORIZON = 100
TOLERANCE = 1e-12
"""After HORIZON steps, the largest difference from samdyn's weights that counts as agreement."""

SHARE = {"NumPy": 0.005, "Numba": 0.05, "JAX": 0.1, "torch": 0.0, "C": 1.0}
"""The part of samdyn's steps that a peer takes, at least HORIZON: slow ones would take minutes."""

TARGETS = {"NumPy": 80.0, "Numba": 10.0, "JAX": 4.0, "C": 0.8}


class Variant(NamedTuple):
    """A variant of a peer, and how many steps it is given when it is timed."""

    name: str
    run: peers.Run
    steps: int


def contestants(work: works.Work, start: works.Ensemble, scale: float) -> dict[str, list[Variant]]:
    """The variants of samdyn and of each peer that can run here."""
    full = max(int(work.steps * scale), HORIZON)
    found = {"samdyn": [Variant("", peers.samdyn(work, start)[""], full)]}
    for name, peer in peers.ALL.items():
        steps = max(int(full * SHARE[name]), HORIZON)
        found[name] = [Variant(label, run, steps) for label, run in peer(work, start).items()]
    return {name: variants for name, variants in found.items() if variants}


def check(everyone: dict[str, list[Variant]]) -> float:
    """Let all take HORIZON steps; return the largest difference, or stop if it is too large.

    The first call also compiles, so that nothing compiles while the clock runs.
    """
    w, taken = everyone["samdyn"][0].run(HORIZON)
    worst = 0.0
    for name, variants in everyone.items():
        for variant in variants:
            other, steps = variant.run(HORIZON)
            n = other.shape[1]  # torch runs one particle
            gap = float(np.max(np.abs(other - w[:, :n])))
            if not gap <= TOLERANCE or not np.array_equal(steps, taken[:n]):
                sys.exit(
                    f"{name} {variant.name} does not agree with samdyn: weights differ {gap:g}"
                )
            worst = max(worst, gap)
    return worst


def measure(everyone: dict[str, list[Variant]], repeats: int) -> dict[str, tuple[float, str]]:
    """The best rate of each, and the variant that had it.

    Everyone runs once before anyone runs again, so that noise of the machine hits all alike.
    """
    rates: dict[str, tuple[float, str]] = {}
    for _ in range(repeats):
        for name, variants in everyone.items():
            for variant in variants:
                began = time.perf_counter()
                _, taken = variant.run(variant.steps)
                rate = float(taken.sum()) / (time.perf_counter() - began) / 1e6
                rates[name] = max(rates.get(name, (0.0, "")), (rate, variant.name))
    return rates


def report(title: str, rates: dict[str, tuple[float, str]], worst: float) -> None:
    """Print one piece of work's part of the table."""
    print(f"\n{title}  (weights agree to {worst:.0e} after {HORIZON} steps)")
    ours = rates["samdyn"][0]
    for name, (rate, variant) in rates.items():
        line = f"  {name:8}{rate:12.4g} M/s"
        if name != "samdyn":
            line += f"   samdyn/{name} = {ours / rate:8.3g}"
        if name in TARGETS:
            met = ours / rate >= TARGETS[name]
            line += f"   target {TARGETS[name]:4g} {'met' if met else 'MISSED'}"
        print(line + (f"   ({variant})" if variant else ""), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, two repeats")
    parser.add_argument("--repeats", type=int, help="runs of each, the best counts (default 5)")
    parser.add_argument("--particles", type=int, default=65_536, help="a multiple of 8192")
    parser.add_argument("--only", default="", help="only work whose title contains this")
    parser.add_argument("--peers", help="only these, with commas between: NumPy,C")
    options = parser.parse_args()
    if options.peers:
        for name in set(peers.ALL) - set(options.peers.split(",")):
            del peers.ALL[name]
    scale, repeats = (0.1, 2) if options.quick else (1.0, 5)
    print(f"{platform.machine()}, {peers.THREADS} threads, {options.particles} particles, float64")
    for work in works.ALL:
        if options.only not in work.title:
            continue
        start = works.ensemble(work, options.particles)
        everyone = contestants(work, start, scale)
        worst = check(everyone)
        report(work.title, measure(everyone, options.repeats or repeats), worst)


if __name__ == "__main__":
    main()
