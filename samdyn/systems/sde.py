"""The diffusion approximation of an algorithm on a random loss, derived by symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from samdyn import words
from samdyn.algorithms import Algorithm
from samdyn.losses.loss import Loss
from samdyn.notation import LATEX
from samdyn.numbers import Number, checked_number, checked_whole
from samdyn.program import Program
from samdyn.symbols import symbols
from samdyn.systems.base import refuse_unknown
from samdyn.systems.diffusion import Diffusion, latex_equations
from samdyn.systems.map import Map
from samdyn.systems.modified.covariance import Covariance, checked_covariance
from samdyn.systems.modified.derivation import LR
from samdyn.systems.modified.equation import Modified, derive, given_noise
from samdyn.systems.modified.factor import lower_triangle, symmetric, times, total
from samdyn.systems.modified.potential import potential
from samdyn.systems.modified.spelling import compiled, readable, spelled
from samdyn.systems.stochastic import StochasticScheme, euler_maruyama


class SDE(Diffusion):
    """The SDE that an algorithm on a random loss follows in law, time running by lr a step.

    A step is w' = w - lr G(w; draw). Its modified equation is
    dX = -E[G] dt + (lr Cov[G])^(1/2) dW in Ito's sense. Drift and covariance are derived from the
    algorithm's own definition: to first order in rho they are those of Monzio Compagnoni et al.
    (arXiv 2301.08203), -(g + rho E[D]) and S + rho (C + C^T), with D the derivative of G by rho at
    rho = 0, S = Cov(g) and C = Cov(g, D). For rho = O(sqrt(lr)) the algorithm is then followed to
    weak order 1. With momentum the state has a velocity v, whose rate is (v' - v)/lr, as in
    `samdyn.Flow`.

    Parameters
    ----------
    loss : Loss
        With noise or data; without either, ``covariance`` must say what the noise is.
    algorithm : Algorithm
        One whose step is w - lr (something without lr).
    dt : float or array, default 1e-2
        Length of a step of the scheme.
    scheme : StochasticScheme, default `samdyn.euler_maruyama`
    batch_size : int or array, optional
        Samples in a batch of a loss with data, drawn with replacement; one batch serves all
        gradients of a step. With ``covariance``: what it is divided by.
    order : {1, None}, default 1
        1: first order in rho. None: drift and covariance of G itself, whatever rho is; to be
        taken if rho times an eigenvalue is not small beside the noise. For normalised SAM with
        batches larger than 1, all batches are enumerated, if they are few.
    covariance : matrix of formulas or numbers, or function of the loss, optional
        The covariance of one sample's gradient noise as a function of the weights, in place of
        the loss's own noise. It acts where the algorithm asks for its last gradient, w^p, and the
        drift is that of the mean loss: dX = -grad L(w^p) dt + (lr C(w^p)/batch_size)^(1/2) dW.
        With `absolute_hessian` it is the SAM diffusion of Kim et al. (arXiv 2301.06308). Nothing
        is expanded in rho then.
    nodes : int, optional
        Take expectations over each normal by so many Gauss-Hermite nodes, for what has no closed
        form. A step that jumps, as normalised SAM's does, converges slowly in them.

    Attributes
    ----------
    drift_formula : sympy.Matrix, shape (rows, 1)
    covariance_formula : sympy.Matrix, shape (rows, rows)
        The covariance of the noise in time 1, lr Cov[G] for a plain step.

    Raises
    ------
    TypeError
        If the algorithm has no such form (a `Switch`, a `Lookahead`, one that takes several
        draws a step).
    FormulaError
        If an expectation has no closed form; the message says what to do.
    ValueError
        If there is no noise, or a number is out of range.

    Notes
    -----
    The first-order covariance is no square and may have negative eigenvalues where rho is not
    small; its factor then has 0 in their place. Take ``order=None`` there.

    Examples
    --------
    >>> from samdyn import Loss, USAM
    >>> noisy = Loss("h*x**2/2 + s*xi*x", noise="xi", h=1.0, s=0.5)
    >>> sde = SDE(noisy, USAM(lr=0.1, rho=0.2))
    >>> sde.drift_formula, sde.covariance_formula
    (Matrix([[-h*x*(h*rho + 1)]]), Matrix([[lr*s**2*(2*h*rho + 1)]]))
    >>> SDE(noisy, USAM(lr=0.1, rho=0.2), order=None).covariance_formula
    Matrix([[lr*s**2*(h*rho + 1)**2]])
    """

    loss: Loss

    def __init__(
        self,
        loss: Loss,
        algorithm: Algorithm,
        dt: Number = 1e-2,
        scheme: StochasticScheme = euler_maruyama,
        batch_size: Number | None = None,
        *,
        order: int | None = 1,
        covariance: Covariance | None = None,
        nodes: int | None = None,
    ):
        self.loss = loss
        self._map = Map(getattr(loss, "mean", loss), algorithm)
        self.algorithm = self._map.single
        if order not in (1, None) or isinstance(order, bool):
            raise ValueError(f"order must be 1 or None, got {order!r}")
        self.order, self.nodes = order, None if nodes is None else checked_whole("nodes", nodes, 1)
        self.batch_size = self._checked_size(batch_size, covariance is not None)
        self.given = covariance
        self._modified = self._derived()
        self.dt, self.scheme = dt, scheme
        self.brownian = self._factored.cols if self._factored is not None else len(self._noisy)
        if not self.brownian:
            raise ValueError(
                "the step has no noise, so there is no SDE; take samdyn.Flow, or give the loss "
                "noise"
            )
        self.check()

    @property
    def coordinates(self) -> tuple[str, ...]:
        return self.loss.variables

    @property
    def vectors(self) -> tuple[str, ...]:
        return self.algorithm.state

    @property
    def parameters(self) -> dict[str, Any]:
        sized = self._modified.sized and self.batch_size is not None
        size = {"batch_size": self.batch_size} if sized else {}
        return {**self.algorithm.numbers, **size, **self.loss.constants}

    @property
    def title(self) -> str:
        return f"SDE of {self.algorithm.title} on {self.loss.name or self.loss.formula}"

    @property
    def about(self) -> dict[str, str]:
        said = {"algorithm": repr(self.algorithm), "order": repr(self.order), **super().about}
        if self.batch_size is not None:
            said["batch_size"] = repr(self.batch_size)
        if self.given is not None:
            said["covariance"] = repr(self.covariance_given.tolist())
        if self.nodes is not None:
            said["nodes"] = repr(self.nodes)
        return said

    def __repr__(self) -> str:
        return f"SDE({self.loss!r}, {self.algorithm!r}, dt={self.dt!r}, scheme={self.scheme!r})"

    # --- formulas -------------------------------------------------------------------------

    @cached_property
    def drift_formula(self) -> sympy.Matrix:
        """The drift, a formula for each of ``rows``."""
        drift = [spelled(entry, self._modified.lets) for entry in self._modified.drift]
        return sympy.Matrix(list(map(readable, drift)))

    @cached_property
    def covariance_formula(self) -> sympy.Matrix:
        """The covariance rate, diffusion times its transpose."""
        spread = self._modified.spread
        covariance = spelled(self._modified.covariance, self._modified.lets)
        return (LR * spread * covariance * spread.T).applyfunc(readable)

    @cached_property
    def implicit_loss(self) -> sympy.Expr | None:
        """The loss whose negative gradient the drift is, or None if it is not known to be one.

        For SGD the loss itself, for USAM L + rho/2 E|g|^2, for SAM L + rho E|g|, for DNSAM with
        additive noise L + rho |E g|, g being a sample's (or a batch's) gradient. A candidate is
        given only if its gradient is the drift.
        """
        if self.vectors:
            return None
        return potential(self.loss, self._map.single, self._modified, self.batch_size)

    @property
    def latex(self) -> str:
        """The equation in LaTeX."""
        greek = {
            symbols([name])[0]: sympy.Symbol(LATEX[name][0], real=True)
            for name in self.parameters
            if name in LATEX and name not in self.loss.constants
        }
        drift = [rate.xreplace(greek) for rate in self.drift_formula]
        if self._factored is not None:
            factored = spelled(self._factored, self._modified.lets)
            matrix = (sympy.sqrt(LR) * factored).applyfunc(readable)
            return latex_equations(self.rows, drift, matrix.xreplace(greek).tolist())
        covariance = self.covariance_formula.xreplace(greek)
        if len(self.rows) == 1:
            return latex_equations(self.rows, drift, [[sympy.sqrt(covariance[0])]])
        names = sympy.latex(sympy.Matrix(symbols(self.rows)))
        return (
            rf"\mathrm{{d}}{names} = {sympy.latex(sympy.Matrix(drift))}\,\mathrm{{d}}t"
            rf" + \Sigma^{{1/2}}\,\mathrm{{d}}W,\quad \Sigma = {sympy.latex(covariance)}"
        )

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    # --- in words -------------------------------------------------------------------------

    def drift(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        return self._said(self._drift_program, z, numbers)

    def diffusion(self, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[list[Any]]:
        flat = self._said(self._noise_program, z, numbers)
        spread = self._said(self._spread_program, z, numbers)
        root = words.sqrt(numbers["lr"])
        d = len(self.coordinates)
        if self._factored is not None:
            factor = [flat[i : i + self.brownian] for i in range(0, len(flat), self.brownian)]
        else:
            factor = lower_triangle(symmetric(flat, d), self._noisy)
        rows = []
        for i in range(len(z)):
            row = [0.0] * self.brownian
            for k in range(d):
                share = spread[i * d + k]
                row = [total(a, times(share, b)) for a, b in zip(row, factor[k], strict=True)]
            rows.append([times(root, entry) for entry in row])
        return rows

    def replace(self, **numbers: Any) -> SDE:
        """The same SDE with other hyperparameters, constants, batch or step length."""
        sized = {"batch_size": self.batch_size} if self.batch_size is not None else {}
        refuse_unknown(numbers, tuple({**self.numbers, **sized}), "this SDE")
        dt = numbers.pop("dt", self.dt)
        size = numbers.pop("batch_size", self.batch_size)
        ours = {name: numbers.pop(name) for name in self.loss.constants if name in numbers}
        return SDE(
            self.loss.replace(**ours) if ours else self.loss,
            self.algorithm.replace(**numbers) if numbers else self.algorithm,
            dt,
            self.scheme,
            size,
            order=self.order,
            covariance=self.given,
            nodes=self.nodes,
        )

    def _said(self, program: Program, z: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
        given = {**dict(zip(self.rows, z, strict=True)), **numbers}
        return [float(x) if type(x) is bool else x for x in program(*map(given.get, self._names))]

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.rows, *self.parameters)

    def _compiled(self, entries: Sequence[sympy.Expr]) -> Program:
        return compiled(entries, self._modified.lets, self._names)

    @cached_property
    def _drift_program(self) -> Program:
        return self._compiled(self._modified.drift)

    @cached_property
    def _noise_program(self) -> Program:
        """The factor of the gradient's covariance row by row, or the covariance's upper part."""
        if self._modified.root is not None:
            return self._compiled(list(self._modified.root))
        covariance, d = self._modified.covariance, len(self.coordinates)
        return self._compiled([covariance[i, j] for i in range(d) for j in range(i, d)])

    @cached_property
    def _spread_program(self) -> Program:
        return self._compiled(list(self._modified.spread))

    @cached_property
    def _factored(self) -> sympy.Matrix | None:
        """What multiplies the Brownian motions, over sqrt(lr), if no square root is needed."""
        root = self._modified.root
        return None if root is None else self._modified.spread * root

    @cached_property
    def _noisy(self) -> list[int]:
        """The variables whose gradient has noise."""
        covariance = self._modified.covariance
        return [i for i in range(covariance.rows) if covariance[i, i] != 0]

    def _derived(self) -> Modified:
        if self.given is not None:
            sized = self.batch_size is not None
            return given_noise(self.loss, self.algorithm, self.covariance_given, sized)
        if self.loss.sample is None:
            raise ValueError(
                "loss has no noise of its own; give it noise=… or data=…, or say what the "
                "gradient's noise is: covariance=…"
            )
        return derive(self.loss, self.algorithm, self.batch_size, self.order, self.nodes)

    @property
    def covariance_given(self) -> sympy.Matrix:
        return checked_covariance(self.given, self.loss)

    def _checked_size(self, size: Any, given: bool) -> Any:
        sample = self.loss.sample
        if size is None:
            if sample is not None and sample.fields and not given:
                raise ValueError(
                    "batch_size must be given for a loss of data; with all samples in every step "
                    "nothing is random"
                )
            return None
        if not given and (sample is None or not sample.fields):
            raise ValueError("batch_size goes with a loss of data, or with covariance")
        checked = checked_number("batch_size", size, minimum=1.0)
        if np.any(np.asarray(checked) % 1):
            raise ValueError(f"batch_size must be whole numbers from 1 on, got {size!r}")
        return checked
