"""Stochastic work, and samdyn and its peers on it, each written as well as its author would.

A peer is a function of the work and the initial points that returns its variants by name:
functions of the number of steps that return the weights (2, n) at the end. Whatever was outside
the ball of `Work.radius` after a step stays there. A peer whose library is missing, or that has
no such method, returns no variants.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from math import sqrt
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
from stochastic_loops import diffusion_loop, minibatch_loop

import samdyn as sd

Run = Callable[[int], np.ndarray]

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BLOCK = 4096


class Work(NamedTuple):
    """An algorithm or an SDE in the plane.

    Attributes
    ----------
    title : str
    step : float
        The learning rate, or the time step of Euler and Maruyama's scheme; so small that few
        particles escape during a run.
    rho : float
        The ascent radius.
    normalised : bool
        Whether the ascent has length rho (SAM) or is rho times the gradient (USAM).
    s : float
        What multiplies dW; 0 for the algorithm.
    table : ndarray, shape (2, n), or None
        The data a and b of the algorithm's loss, of which a step takes ``batch`` samples.
    radius : float
        A particle escapes from the ball of this radius about 0.
    box : float
        The initial points are uniform in the square of this half width.
    batch : int
    """

    title: str
    step: float
    rho: float
    normalised: bool
    s: float
    table: np.ndarray | None
    radius: float
    box: float
    batch: int = 8

    @property
    def system(self) -> sd.Map | sd.SDE:
        """The work for samdyn."""
        algorithm = (sd.SAM if self.normalised else sd.USAM)(lr=self.step, rho=self.rho)
        if self.table is not None:
            loss = sd.Loss("(a*x*y - b)**2/2", data=dict(zip("ab", self.table, strict=True)))
            return sd.Map(loss, algorithm, batch_size=self.batch)
        loss = sd.Loss("x**2/2 - y**2/2 + y**4/4")
        c = self.s**2 / self.step
        return sd.SDE(loss, algorithm, dt=self.step, covariance=[[c, 0.0], [0.0, c]])

    def points(self, particles: int) -> np.ndarray:
        """Initial points (2, n), the same for every peer."""
        return np.random.default_rng(0).uniform(-self.box, self.box, (2, particles))


def _data(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(1.0, 0.7, (2, n))


WORK = (
    Work("Euler-Maruyama, SAM", 0.01, 0.1, True, 0.4, None, 1.6, 1.1),
    Work("Euler-Maruyama, USAM", 0.01, 0.1, False, 0.4, None, 1.6, 1.1),
    Work("minibatch SAM", 1e-3, 0.1, True, 0.0, _data(64), 1.0, 0.75),
)


def _sizes(particles: int) -> dict[str, int]:
    """How many particles are worked on at a time, by name."""
    return {"whole": particles} | ({f"blocks of {BLOCK}": BLOCK} if particles > BLOCK else {})


def gradient(work: Work, w: Sequence[Any], batch: Any) -> tuple[Any, Any]:
    """The gradient of the quartic saddle, or of the mean of (a*x*y - b)**2/2 over a batch."""
    x, y = w
    if work.table is None:
        return x, y * y * y - y
    a, b = batch
    xy = x * y
    slope = sum(p * (p * xy - q) for p, q in zip(a, b, strict=True)) * (1.0 / work.batch)
    return slope * y, slope * x


def ascended(xp: ModuleType, work: Work, w: Sequence[Any], batch: Any = None) -> tuple[Any, Any]:
    """The gradient at the perturbed point, in the words of NumPy, JAX or torch."""
    g = gradient(work, w, batch)
    scale = work.rho
    if work.normalised:
        length = xp.sqrt(g[0] * g[0] + g[1] * g[1])
        scale = work.rho / xp.where(length > 0.0, length, 1.0)
    return gradient(work, [p + scale * q for p, q in zip(w, g, strict=True)], batch)


def step(xp: ModuleType, work: Work, w: Sequence[Any], drawn: Any) -> tuple[Any, Any]:
    """One step over whole arrays: ``drawn`` are the normals, or the samples (8, n) of a and b."""
    inside = w[0] * w[0] + w[1] * w[1] <= work.radius * work.radius
    if work.table is not None:
        g = ascended(xp, work, w, drawn)
        moved = [p - work.step * q for p, q in zip(w, g, strict=True)]
    else:
        size = work.s * sqrt(work.step)
        g = ascended(xp, work, w)
        moved = [p - work.step * q + size * z for p, q, z in zip(w, g, drawn, strict=True)]
    return xp.where(inside, moved[0], w[0]), xp.where(inside, moved[1], w[1])


def samdyn(work: Work, start: np.ndarray, bridge: bool | None = None) -> dict[str, Run]:
    """All of `samdyn.simulate`: it also counts steps and watches for overflow, as no peer does."""
    if work.table is None:
        bridge = bool(bridge)
    elif bridge:
        return {}
    system = work.system
    ball = sd.Escape(center=(0.0, 0.0), radius=work.radius, bridge=bridge)

    def run(steps: int) -> np.ndarray:
        result = sd.simulate(system, start.T, steps, until=ball, progress=False)
        return result["final"].values.T

    return {"": run}


def numpy(work: Work, start: np.ndarray) -> dict[str, Run]:
    """Arrays over all particles, or over blocks of them, and the fastest of NumPy's generators."""

    def run(size: int, steps: int) -> np.ndarray:
        random = np.random.Generator(np.random.SFC64(2))
        done = [part(random, start[:, i : i + size], steps) for i in range(0, start.shape[1], size)]
        return np.concatenate(done, axis=1)

    def part(random: np.random.Generator, w: Any, steps: int) -> np.ndarray:
        n = w.shape[1]
        normals = np.empty((2, n))
        for _ in range(steps):
            if work.table is None:
                drawn = random.standard_normal(out=normals)
            else:
                rows = random.integers(0, work.table.shape[1], (work.batch, n), np.uint8)
                drawn = work.table[0].take(rows), work.table[1].take(rows)
            w = step(np, work, w, drawn)
        return np.array(w)

    return {name: partial(run, size) for name, size in _sizes(start.shape[1]).items()}


def plain_numba(work: Work, start: np.ndarray) -> dict[str, Run]:
    """``prange`` over particles, and in it the loop over steps, which escape breaks."""
    numba.set_num_threads(THREADS)
    shape = (work.step, work.rho, work.normalised, work.radius)

    def run(steps: int) -> np.ndarray:
        w = start.copy()
        if work.table is None:
            diffusion_loop(w, *shape, work.s, steps)
        else:
            minibatch_loop(w, *shape, work.table, work.batch, steps)
        return w

    return {"": run}


def jax(work: Work, start: np.ndarray, threads: int = 1) -> dict[str, Run]:
    """A jitted loop over steps, over the whole array and over blocks that fit the cache.

    Keys are folded in step by step. JAX's own generator and the two that it has for speed take
    turns, and so do its normals and Box and Muller's; the best counts.
    """
    try:
        import jax
    except ImportError:
        return {}
    jax.config.update("jax_enable_x64", True)
    xp, n = jax.numpy, start.shape[1] // threads

    def normals(key: Any, size: int, boxed: bool) -> Any:
        if not boxed:
            return jax.random.normal(key, (2, size))
        u, v = jax.random.uniform(key, (2, size))
        radius, angle = xp.sqrt(-2.0 * xp.log1p(-u)), 2.0 * np.pi * v
        return radius * xp.cos(angle), radius * xp.sin(angle)

    def samples(key: Any, size: int) -> Any:
        # n = 64 is a power of 2, so that six bits of a byte are a sample
        rows = jax.random.bits(key, (work.batch, size), np.uint8) & (work.table.shape[1] - 1)
        return xp.asarray(work.table[0])[rows], xp.asarray(work.table[1])[rows]

    @partial(jax.jit, static_argnums=3)
    def blocks(steps: Any, w: Any, key: Any, boxed: bool) -> Any:
        def advance(t: Any, w: Any, key: Any) -> Any:
            now, size = jax.random.fold_in(key, t), w[0].size
            drawn = normals(now, size, boxed) if work.table is None else samples(now, size)
            return step(xp, work, w, drawn)

        def one(block: Any) -> Any:
            w, key = block
            return jax.lax.fori_loop(0, steps, lambda t, w: advance(t, w, key), tuple(w))

        return jax.lax.map(one, (w, jax.random.split(key, w.shape[0])))

    def variant(size: int, generator: str, boxed: bool) -> Run:
        shared = start.reshape(2, threads, -1, size).transpose(1, 2, 0, 3)
        parts = [xp.asarray(part) for part in shared]
        keys = jax.random.split(jax.random.key(2, impl=generator), threads)

        def work_off(k: int, steps: int) -> np.ndarray:
            return np.stack(blocks(steps, parts[k], keys[k], boxed))

        def run(steps: int) -> np.ndarray:
            with ThreadPoolExecutor(threads) as pool:
                done = list(pool.map(partial(work_off, steps=steps), range(threads)))
            return np.concatenate([w.reshape(2, -1) for w in done], axis=1)

        return run

    ways = {"": False} | ({"Box-Muller ": True} if work.table is None else {})
    return {
        f"{generator}, {way}{name}": variant(size, generator, boxed)
        for generator, (way, boxed), (name, size) in product(
            ("threefry2x32", "rbg", "unsafe_rbg"), ways.items(), _sizes(n).items()
        )
    }


def diffrax(work: Work, start: np.ndarray) -> dict[str, Run]:
    """`diffeqsolve` with Euler's method, jitted: over paths by vmap, and over them as one state.

    Paths freeze by drift and diffusion 0 outside of the ball, or end by an event.
    """
    if work.table is not None:
        return {}
    try:
        import diffrax as dfx
        import jax
        import lineax
    except ImportError:
        return {}
    jax.config.update("jax_enable_x64", True)
    xp = jax.numpy

    def inside(y: Any) -> Any:
        return y[0] * y[0] + y[1] * y[1] <= work.radius * work.radius

    def solve(y: Any, key: Any, t1: Any, tree: bool, event: bool) -> Any:
        def drift(t: Any, y: Any, _: Any) -> Any:
            g = xp.stack(ascended(xp, work, y))
            return -g if event else xp.where(inside(y), -g, 0.0)

        def diffusion(t: Any, y: Any, _: Any) -> Any:
            s = work.s if event else xp.where(inside(y), work.s, 0.0)
            return lineax.DiagonalLinearOperator(xp.broadcast_to(s, y.shape))

        shape = jax.ShapeDtypeStruct(y.shape, y.dtype)
        if tree:
            motion = dfx.VirtualBrownianTree(0.0, t1, work.step / 2, shape, key)
        else:
            motion = dfx.UnsafeBrownianPath(shape, key)
        solution = dfx.diffeqsolve(
            dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(diffusion, motion)),
            dfx.Euler(),
            *(0.0, t1, work.step, y),
            max_steps=None,
            adjoint=dfx.ForwardMode(),
            event=dfx.Event(lambda t, y, args, **_: ~inside(y)) if event else None,
        )
        return solution.ys[-1]

    @partial(jax.jit, static_argnums=(3, 4))
    def paths(w: Any, keys: Any, t1: Any, tree: bool, event: bool) -> Any:
        return jax.vmap(solve, in_axes=(1, 0, None, None, None), out_axes=1)(
            w, keys, t1, tree, event
        )

    @jax.jit
    def blocks(w: Any, keys: Any, t1: Any) -> Any:
        return jax.lax.map(lambda block: solve(*block, t1, False, False), (w, keys))

    def by_path(tree: bool, event: bool) -> Run:
        w, keys = xp.asarray(start), jax.random.split(jax.random.key(2), start.shape[1])
        return lambda steps: np.asarray(paths(w, keys, steps * work.step, tree, event))

    def as_one(size: int, generator: str) -> Run:
        w = xp.asarray(start.reshape(2, -1, size).swapaxes(0, 1))
        keys = jax.random.split(jax.random.key(2, impl=generator), len(w))

        def run(steps: int) -> np.ndarray:
            done = np.asarray(blocks(w, keys, steps * work.step))
            return done.swapaxes(0, 1).reshape(2, -1)

        return run

    return {
        "vmap, tree": by_path(True, False),
        "vmap, unsafe": by_path(False, False),
        "vmap, unsafe, event": by_path(False, True),
    } | {
        f"one state, {name}, unsafe, {generator}": as_one(size, generator)
        for name, size in _sizes(start.shape[1]).items()
        for generator in ("threefry2x32", "rbg")
    }


def torchsde(work: Work, start: np.ndarray) -> dict[str, Run]:
    """`sdeint` with Euler's method on a batch of all paths."""
    if work.table is not None:
        return {}
    try:
        import torch
        import torchsde
    except ImportError:
        return {}
    torch.set_num_threads(THREADS)

    class Equation(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t: Any, y: Any) -> Any:
            g = torch.stack(ascended(torch, work, y.unbind(1)), 1)
            return torch.where(self.inside(y), -g, 0.0)

        def g(self, t: Any, y: Any) -> Any:
            return torch.where(self.inside(y), work.s, 0.0).expand_as(y)

        def inside(self, y: Any) -> Any:
            return (y * y).sum(1, keepdim=True) <= work.radius * work.radius

    w = torch.as_tensor(start.T.copy())

    def run(steps: int) -> np.ndarray:
        t1 = steps * work.step
        # ends a step late, since the solver's times are sums of dt
        motion = torchsde.BrownianInterval(0.0, t1 + work.step, w.shape, w.dtype, entropy=2)
        with torch.no_grad():
            times = torch.tensor([0.0, t1], dtype=w.dtype)
            ys = torchsde.sdeint(Equation(), w, times, motion, "euler", work.step)
        return ys[-1].numpy().T

    return {"": run}


PEERS: dict[str, Callable[[Work, np.ndarray], dict[str, Run]]] = {
    "samdyn bridge": partial(samdyn, bridge=True),
    "NumPy": numpy,
    "Numba": plain_numba,
    "JAX": jax,
    "JAX shared out": partial(jax, threads=THREADS),
    "diffrax": diffrax,
    "torchsde": torchsde,
}
