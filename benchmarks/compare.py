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

SECONDS = 0.7
"""How long a timed run of anyone takes, about: the same for all, so that noise hits all alike."""

MOST_STEPS = 30_000
"""Longer runs would leave the region in which all agree about what to do."""

TARGETS = {"NumPy": 80.0, "Numba": 10.0, "JAX": 4.0, "C": 0.8}


class Variant(NamedTuple):
    """A variant of a peer."""

    name: str
    run: peers.Run


def contestants(work: works.Work, start: works.Ensemble) -> dict[str, list[Variant]]:
    """The variants of samdyn and of each peer that can run here."""
    found = {"samdyn": peers.samdyn(work, start)}
    found |= {name: peer(work, start) for name, peer in peers.ALL.items()}
    return {
        name: [Variant(label, run) for label, run in variants.items()]
        for name, variants in found.items()
        if variants
    }


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


def enough_steps(variant: Variant, seconds: float) -> int:
    """Steps that take a variant about so long."""
    steps, spent = HORIZON, 0.0
    while spent < seconds / 10 and steps < MOST_STEPS:
        began = time.perf_counter()
        variant.run(steps)
        spent = time.perf_counter() - began
        steps *= 4
    return max(HORIZON, min(int(steps / 4 * seconds / spent), MOST_STEPS))


def measure(
    everyone: dict[str, list[Variant]], repeats: int, seconds: float
) -> dict[str, tuple[float, str]]:
    """The best rate of each, and the variant that had it.

    Everyone runs once before anyone runs again, and for as long as the others.
    """
    rates: dict[str, tuple[float, str]] = {}
    steps = {
        (name, variant): enough_steps(variant, seconds)
        for name, variants in everyone.items()
        for variant in variants
    }
    for _ in range(repeats):
        for (name, variant), count in steps.items():
            began = time.perf_counter()
            _, taken = variant.run(count)
            rate = float(taken.sum()) / (time.perf_counter() - began) / 1e6
            rates[name] = max(rates.get(name, (0.0, "")), (rate, variant.name))
    return rates


def report(title: str, rates: dict[str, tuple[float, str]], worst: float) -> None:
    """Print one piece of work's part of the table."""
    print(f"\n{title}  (weights agree to {worst:.0e} after {HORIZON} steps)")
    ours = rates["samdyn"][0]
    for name, (rate, variant) in rates.items():
        line = f"  {name:16}{rate:12.4g} M/s"
        if name != "samdyn":
            line += f"   {ours / rate:9.3g} x"
        if name in TARGETS:
            met = ours / rate >= TARGETS[name]
            line += f"   target {TARGETS[name]:4g} {'met' if met else 'MISSED'}"
        print(line + (f"   ({variant})" if variant else ""), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs, two repeats")
    parser.add_argument("--repeats", type=int, help="runs of each, the best counts (default 5)")
    parser.add_argument("--particles", type=int, default=65_536, help="a multiple of 8192")
    parser.add_argument("--only", default="", help="only work whose title contains this")
    parser.add_argument("--peers", help="only these, with commas between: NumPy,C")
    options = parser.parse_args()
    if options.peers:
        for name in set(peers.ALL) - set(options.peers.split(",")):
            del peers.ALL[name]
    seconds, repeats = (0.2, 2) if options.quick else (SECONDS, 5)
    print(f"{platform.machine()}, {peers.THREADS} threads, {options.particles} particles, float64")
    for work in works.ALL:
        if options.only not in work.title:
            continue
        start = works.ensemble(work, options.particles)
        everyone = contestants(work, start)
        worst = check(everyone)
        report(work.title, measure(everyone, options.repeats or repeats, seconds), worst)


if __name__ == "__main__":
    main()
