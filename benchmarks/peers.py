"""samdyn and its peers on a piece of work, each written as well as its author would.

A peer is a function of the work and the ensemble that returns its variants by name: functions of
the number of steps that return the weights (d, n) and the steps that each particle took (n,).
Every peer has a learning rate and an ascent radius for each particle and freezes what leaves the
ball of `Work.radius`. A peer whose library is missing returns no variants.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import xarray as xr
from loops import plane_loop, rosenbrock_loop
from work import Ensemble, Work

import samdyn as sd

Run = Callable[[int], tuple[np.ndarray, np.ndarray]]
Peer = Callable[[Work, Ensemble], dict[str, Run]]

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LANES = 64


def samdyn(work: Work, start: Ensemble) -> dict[str, Run]:
    """All of `samdyn.simulate`: it also watches for overflow, which no peer does."""
    lr, rho = (xr.DataArray(values, dims="particle") for values in (start.lr, start.rho))
    ascent = {"rho": rho} if work.ascends else {}
    momentum = {"momentum": work.momentum} if work.momentum else {}
    algorithm = (sd.SAM if work.ascends else sd.GD)(lr=lr, **ascent, **momentum)
    system = sd.Map(sd.Loss(work.formula, variables=list(work.names)), algorithm)
    ball = sd.Escape(center=(0.0,) * work.dimension, radius=work.radius)

    def run(steps: int) -> tuple[np.ndarray, np.ndarray]:
        result = sd.simulate(system, start.w.T, steps, until=ball, progress=False)
        return result["final"].values.T, result["steps"].values

    return {"": run}


def _step(xp: ModuleType, work: Work, start: Ensemble, state: tuple) -> tuple:
    """One step over whole arrays, in NumPy's words or in JAX's."""
    w, v, alive, taken = state
    alive = alive & (sum(a * a for a in w) <= work.radius * work.radius)
    g = work.gradient(w)
    if work.ascends:
        length = xp.sqrt(sum(a * a for a in g))
        scale = start.rho / xp.where(length > 0.0, length, 1.0)
        g = work.gradient([a + scale * b for a, b in zip(w, g, strict=True)])
    if work.momentum:
        g = [work.momentum * a + b for a, b in zip(v, g, strict=True)]
        v = tuple(xp.where(alive, b, a) for a, b in zip(v, g, strict=True))
    w = tuple(xp.where(alive, a - start.lr * b, a) for a, b in zip(w, g, strict=True))
    return w, v, alive, taken + alive


def _first_state(xp: ModuleType, work: Work, w: Any) -> tuple:
    w = tuple(w)
    still = tuple(xp.zeros_like(a) for a in w) if work.momentum else ()
    return w, still, xp.ones(w[0].shape, bool), xp.zeros(w[0].shape, np.int64)


def numpy(work: Work, start: Ensemble) -> dict[str, Run]:
    """Arrays over all particles."""

    def run(steps: int) -> tuple[np.ndarray, np.ndarray]:
        state = _first_state(np, work, start.w)
        for _ in range(steps):
            state = _step(np, work, start, state)
        return np.array(state[0]), state[-1]

    return {"": run}


def plain_numba(work: Work, start: Ensemble) -> dict[str, Run]:
    """``prange`` over particles, and in it the loop over steps, which escape breaks."""
    numba.set_num_threads(THREADS)
    options = (work.momentum, work.ascends, work.radius)
    plane = work.dimension == 2
    loop = partial(plane_loop, numba.njit(work.gradient)) if plane else rosenbrock_loop

    def run(steps: int) -> tuple[np.ndarray, np.ndarray]:
        w = start.w.copy()
        return w, loop(w, start.lr, start.rho, *options, steps)

    return {"": run}


def jax(work: Work, start: Ensemble, threads: int = 1) -> dict[str, Run]:
    """A jitted loop over steps, over the whole array and over blocks that fit the cache.

    XLA itself hardly uses a second core for work of this kind. With more threads each has its own
    part of the particles, shared out by hand.
    """
    try:
        import jax
    except ImportError:
        return {}
    jax.config.update("jax_enable_x64", True)

    def one_block(steps: Any, block: Ensemble) -> tuple:
        first = _first_state(jax.numpy, work, block.w)
        state = jax.lax.fori_loop(0, steps, lambda _, z: _step(jax.numpy, work, block, z), first)
        return jax.numpy.stack(state[0]), state[-1]

    @jax.jit
    def blocks(steps: Any, parts: Ensemble) -> tuple:
        return jax.lax.map(lambda block: one_block(steps, block), parts)

    def variant(size: int) -> Run:
        n = start.lr.size // threads

        def part(k: int) -> Ensemble:
            w, lr, rho = (a[..., k * n : (k + 1) * n] for a in start)
            w = w.reshape(work.dimension, -1, size).swapaxes(0, 1)
            rows = (w, lr.reshape(-1, size), rho.reshape(-1, size))
            return Ensemble(*map(jax.numpy.asarray, rows))

        parts = [part(k) for k in range(threads)]

        def run(steps: int) -> tuple[np.ndarray, np.ndarray]:
            with ThreadPoolExecutor(threads) as pool:
                done = list(pool.map(lambda p: jax.block_until_ready(blocks(steps, p)), parts))
            w = [np.asarray(w).swapaxes(0, 1).reshape(work.dimension, -1) for w, _ in done]
            return np.concatenate(w, axis=1), np.concatenate([np.ravel(t) for _, t in done])

        return run

    whole = start.lr.size // threads
    sizes = {"whole": whole} | {f"block {b}": b for b in (64, 256, 1024, 4096) if b < whole}
    return {name: variant(size) for name, size in sizes.items()}


def torch(work: Work, start: Ensemble) -> dict[str, Run]:
    """One particle, stepped as papers' own code does: two backward passes of autograd."""
    try:
        import torch
    except ImportError:
        return {}
    code = compile(work.formula, work.loss, "eval")

    def loss(w: Any) -> Any:
        return eval(code, dict(zip(work.names, w, strict=True)))

    def run(steps: int) -> tuple[np.ndarray, np.ndarray]:
        w = torch.tensor(start.w[:, 0], requires_grad=True)
        lr, rho = float(start.lr[0]), float(start.rho[0])
        optimizer = torch.optim.SGD([w], lr=lr, momentum=work.momentum)
        for t in range(steps):
            if w.detach().norm() > work.radius:
                return w.detach().numpy()[:, None], np.array([t])
            optimizer.zero_grad()
            loss(w).backward()
            if work.ascends:
                with torch.no_grad():
                    up = rho * w.grad / (w.grad.norm() + 1e-300)
                    w.add_(up)
                optimizer.zero_grad()
                loss(w).backward()
                with torch.no_grad():
                    w.sub_(up)
            optimizer.step()
        return w.detach().numpy()[:, None], np.array([steps])

    return {"": run}


def c(work: Work, start: Ensemble, contract: str = "off") -> dict[str, Run]:
    """The lane loop in C, with or without contraction to fused multiply-adds."""
    if shutil.which("gcc") is None:
        return {}
    n, d = start.lr.size, work.dimension
    lr, rho = np.ascontiguousarray(start.lr), np.ascontiguousarray(start.rho)

    def variant() -> Run:
        advance = _compiled(work.loss, work.ascends, work.momentum > 0.0, contract)

        def run(steps: int) -> tuple[np.ndarray, np.ndarray]:
            w = np.ascontiguousarray(start.w.reshape(d, -1, LANES).swapaxes(0, 1))
            v, taken = np.zeros_like(w), np.zeros(n)

            def part(first: int) -> None:
                last = min(first + 16, len(w))
                rows = (w[first:last], v[first:last])
                rows += tuple(a.reshape(-1, LANES)[first:last] for a in (lr, rho, taken))
                advance(
                    *(last - first, steps),
                    *map(ctypes.c_double, (work.radius, work.momentum)),
                    *(ctypes.c_void_p(a.ctypes.data) for a in rows),
                )

            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(part, range(0, len(w), 16)))
            return w.swapaxes(0, 1).reshape(d, -1), taken.astype(np.int64)

        return run

    return {"": variant()}


@cache
def _compiled(loss: str, ascends: bool, momentum: bool, contract: str) -> Any:
    """The function ``advance`` of lanes.c, compiled for a piece of work."""
    flags = [f"-D{loss.upper()}", *["-DASCENT"] * ascends, *["-DMOMENTUM"] * momentum]
    # without the last two gcc may not turn selects and square roots into vector code
    flags += ["-O3", "-march=native", f"-ffp-contract={contract}"]
    flags += ["-fno-math-errno", "-fno-trapping-math"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lanes.so"
        source = Path(__file__).with_name("lanes.c")
        command = ["gcc", *flags, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
        subprocess.run(command, check=True)
        advance = ctypes.CDLL(str(library)).advance
    advance.argtypes = [ctypes.c_long] * 2 + [ctypes.c_double] * 2 + [ctypes.c_void_p] * 5
    advance.restype = None
    return advance


ALL: dict[str, Peer] = {
    "NumPy": numpy,
    "Numba": plain_numba,
    "JAX": jax,
    "JAX shared out": partial(jax, threads=THREADS),
    "torch": torch,
    "C": c,
    "C contracted": partial(c, contract="fast"),
}
