"""Networks: samdyn's training beside loops written by hand in torch.

Prints the milliseconds of one step of SAM with momentum and weight decay on digits: for one network
at several sizes, and for many small ones, which samdyn trains together. The best of several runs
counts, in which all take turns. Before, all must arrive at the same weights. See README.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

import samdyn as sd
import samdyn.networks as nets
from samdyn.networks.models import initialised, mlp
from samdyn.networks.order import Order

LR, RHO, MOMENTUM, DECAY = 0.03, 0.2, 0.9, 5e-4
BATCH = 32
AGREE = 2e-3
"""The part by which weights may differ after the few steps of the check, in float32."""

TARGETS = {"one": 0.95, "many": 3.0, "choice": 0.9}
"""How many times as fast samdyn is to be."""

DATA = nets.data.digits().train

Run = Callable[[int], object]
"""Training for so many epochs."""


def by_hand(model: nn.Module, orders: Sequence[Order], epochs: int) -> list[Tensor]:
    """SAM as one writes it: two backward passes, perturbed weights put back from a copy."""
    ends = []
    for order in orders:
        net = initialised(model, order.seed)
        weights = list(net.parameters())
        optimiser = torch.optim.SGD(weights, lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
        for number in range(epochs * order.per_epoch):
            inputs, targets = order.batch(number).samples
            functional.cross_entropy(net(inputs), targets).backward()
            with torch.no_grad():
                slopes = [w.grad for w in weights]
                length = torch.stack([g.norm() for g in slopes if g is not None]).norm()
                kept = [w.clone() for w in weights]
                for w, g in zip(weights, slopes, strict=True):
                    w.add_(g * (RHO / (length + 1e-12)))  # type: ignore[operator]
            optimiser.zero_grad()
            functional.cross_entropy(net(inputs), targets).backward()
            with torch.no_grad():
                for w, old in zip(weights, kept, strict=True):
                    w.copy_(old)
            optimiser.step()
            optimiser.zero_grad()
        ends.append(torch.cat([w.detach().reshape(-1) for w in weights]))
    return ends


def samdyn(model: nn.Module, seeds: range, epochs: int, together: bool | None) -> xr.Dataset:
    """The whole of `train`, from its checks to the finished Dataset; recorded at the end only."""
    sam = sd.SAM(lr=LR, rho=RHO, momentum=MOMENTUM, weight_decay=DECAY)
    options = {"epochs": epochs, "batch_size": BATCH, "seed": list(seeds), "progress": False}
    return nets.train(model, DATA, sam, record=[epochs], together=together, **options)


def best(runs: dict[str, Run], epochs: int, steps: int, repeats: int) -> dict[str, float]:
    """The least milliseconds of a step of each; all run once before anyone runs again."""
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            run(epochs)
            least[name] = min(least[name], (time.perf_counter() - began) / steps * 1e3)
    return least


def compare(model: nn.Module, networks: int, epochs: int, repeats: int) -> None:
    """Print one piece of work's part of the table."""
    seeds = range(networks)
    orders = [Order(DATA, BATCH, seed) for seed in seeds]
    runs: dict[str, Run] = {"by hand": partial(by_hand, model, orders)}
    if networks == 1:
        runs["samdyn"] = lambda epochs: samdyn(model, seeds, epochs, None)
    else:
        runs["one by one"] = lambda epochs: samdyn(model, seeds, epochs, False)
        runs["together"] = lambda epochs: samdyn(model, seeds, epochs, True)
        runs["samdyn"] = lambda epochs: samdyn(model, seeds, epochs, None)
    theirs = torch.stack(by_hand(model, orders, 1))
    for together in (False, True):
        ours = torch.as_tensor(samdyn(model, seeds, 1, together)["final"].values)
        off = ((ours - theirs).norm() / theirs.norm()).item()
        if off > AGREE:
            raise SystemExit(f"weights differ by {off:.2g} after an epoch")
    steps = epochs * orders[0].per_epoch
    least = best(runs, epochs, steps, repeats)
    weights = sum(p.numel() for p in model.parameters())
    print(f"\n{networks} networks of {weights} weights, a step of all")
    for name, spent in least.items():
        print(f"  {name:12}{spent:9.3g} ms   by hand / this {least['by hand'] / spent:6.2f}")
    mine = least["samdyn"]
    judge("one" if networks == 1 else "many", least["by hand"] / mine, networks >= 64)
    if networks > 1:
        judge("choice", min(least["one by one"], least["together"]) / mine, True)
        chosen = json.loads(samdyn(model, seeds, epochs, None).attrs["together"])
        print(f"  {chosen[0]['because']}")


def judge(target: str, ratio: float, counts: bool) -> None:
    """Print whether a target was met, if it goes for this piece of work."""
    if counts or target == "one":
        met = "met" if ratio >= TARGETS[target] else "MISSED"
        print(f"  {target}: {ratio:.2f} x, target {TARGETS[target]:g} {met}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs, two repeats")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    repeats, share = (2, 1) if options.quick else (5, 3)
    print(f"{platform.machine()}, {options.threads} threads, torch {torch.__version__}, float32")
    for widths in ((64, 64, 10), (64, 512, 512, 10)):
        compare(mlp(*widths), 1, 6 * share, repeats)
    for networks in (4, 16, 64):
        compare(mlp(64, 64, 10), networks, share * max(2, 64 // networks), repeats)


if __name__ == "__main__":
    main()
