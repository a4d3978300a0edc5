"""The text of kernels: it depends on the definition, and on nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest

import samdyn as sd
from samdyn.ensembles.events import Diverged, Escape
from samdyn.ensembles.kernel import build


def text(system, events=()):
    return build(system, [*events, Diverged()], {}).source


def saddle(a=1.0):
    return sd.Loss("a*x**2/2 - y**2/2 + y**4/4", variables="x y", a=a)


def test_the_values_of_numbers_do_not_reach_the_text():
    events = [Escape(center=(0, 0), radius=1.0), Diverged(10.0)]
    first = text(sd.Map(saddle(), sd.SAM(lr=0.1, rho=0.2, momentum=0.5)), events)
    others = [
        sd.Map(saddle(a=2.5), sd.SAM(lr=1e-3, rho=7.0, momentum=0.9)),
        sd.Map(saddle(a=[1.0, 2.0]), sd.SAM(lr=[0.1], rho=np.ones(5), momentum=[0.0])),
        sd.Map(saddle(), sd.SAM(lr=0.0, rho=0.0, momentum=1e-300)),
    ]
    moved = [Escape(center=(3, 4), radius=5.0), Diverged(1e6)]
    assert {text(system, moved) for system in others} == {first}


def test_the_definition_does_reach_the_text():
    systems = [
        sd.Map(saddle(), sd.GD(lr=0.1)),
        sd.Map(saddle(), sd.GD(lr=0.1, momentum=0.5)),
        sd.Map(saddle(), sd.GD(lr=0.1, momentum=0.5, nesterov=True)),
        sd.Map(saddle(), sd.SAM(lr=0.1, rho=0.1)),
        sd.Map(saddle(), sd.USAM(lr=0.1, rho=0.1)),
        sd.Map(saddle(), sd.SAM(lr=0.1, rho=0.1, ascent_steps=2)),
        sd.Map(sd.Loss("x**2 - y**2"), sd.GD(lr=0.1)),
    ]
    assert len({text(system) for system in systems}) == len(systems)


NASTY = ["row", "block", "table", "code", "ended", "now", "record", "first", "t", "i", "k", "hit",
         "z0", "s0", "p1", "v0", "lambda_", "njit", "np", "numba", "float", "range", "nearest",
         "inlined", "advance", "CACHE", "E", "S", "N", "I", "beta"]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_names_of_the_user_do_no_harm(name):
    algorithm = sd.SAM(lr=0.1, rho=0.2)

    def code(variable, constant):
        formula = f"{constant}*{variable}**2/2 + exp(z)*{variable}"
        loss = sd.Loss(formula, variables=[variable, "z"], **{constant: 2.0})
        _, described, rest = text(sd.Map(loss, algorithm)).split('"""', 2)
        assert f": {variable}\n" in described
        return rest

    # sums follow the order of names, so the same letters must lead
    assert code(name, f"{name}_a") == code(name + "_", f"{name}__a")
    assert code(f"{name}_x", name) == code(f"{name}_y", f"{name}_")


def test_kernels_with_such_names_run():
    loss = sd.Loss("code*row**2/2 + lambda_**2/2 + t*row", variables="row lambda_ t", code=2.0)
    system = sd.Map(loss, sd.SAM(lr=0.1, rho=0.2))
    run = sd.simulate(system, [1.0, 2.0, 3.0], 10, progress=False)
    np.testing.assert_array_equal(run.final, system.apply([1.0, 2.0, 3.0], 10))


def test_a_hard_title_stays_in_its_string():
    @sd.algorithm
    def plain(grad, w, *, lr):
        return w - lr * grad(w)

    loss = sd.losses.quartic_saddle()
    loss.name = 'it\'s """ \\'
    compile(text(sd.Map(loss, plain(lr=0.1))), "kernel", "exec")


def test_constants_that_repr_writes_in_letters_have_a_meaning():
    loss = sd.Loss(lambda w: w[0] * w[0] * float("inf"), "x", grad=lambda w: [w[0] * np.inf])
    source = text(sd.Map(loss, sd.GD(lr=0.1)))
    assert "from math import inf" in source
    compile(source, "kernel", "exec")


PROGRAM = """
import hashlib
import samdyn as sd
from samdyn.ensembles.kernel import build
from samdyn.ensembles.events import Converged
from samdyn.losses.formula import parse
seen = {"a": parse("loss + grad_norm + trace"), "b": parse("frobenius*top_eigenvalue")}
texts = [
    build(sd.Map(make(), sd.SAM(lr=0.1, rho=0.1, momentum=0.5)), [Converged()], seen).source
    for make in (sd.losses.beale, sd.losses.mueller_brown, sd.losses.himmelblau)
]
print(hashlib.sha256("".join(texts).encode()).hexdigest())
"""


def test_the_text_is_the_same_in_every_process():
    hashes = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "4242")
    }
    assert len(hashes) == 1
