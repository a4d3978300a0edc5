"""Phase diagrams: what a system does, over two of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.attraction.cells import LABELS, Cells
from samdyn.analysis.attraction.refinement import refined
from samdyn.analysis.linear import Linear
from samdyn.numbers import checked_whole
from samdyn.systems.base import System, checked_system, refuse_random


def phase_diagram(
    system: System,
    numbers: Mapping[str, Any],
    x0: Any,
    *,
    about: Sequence[float] | None = None,
    radius: float | None = None,
    steps: int = 20_000,
    refine: int = 0,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """What becomes of one initial point, over two numbers of the system.

    Parameters
    ----------
    system : Map, Flow or FormulaMap
        Its other numbers being one value each.
    numbers : mapping
        Two names of the system's numbers, each with its increasing values, for example
        ``{"lr": np.geomspace(1e-3, 1, 60), "rho": np.linspace(0, 2, 60)}``.
    x0 : array_like, shape (d,) or (rows,)
        The initial point; near the saddle, if that is the question.
    about : sequence of float, optional
        A saddle (or any point): then a particle that leaves the ball of ``radius`` around it
        escapes, and one that stays is trapped.
    radius : float, optional
        Needed with ``about``.
    steps : int, default 20_000
        Steps of the run. Half as many more measure the rate.
    refine : int, default 0
        How often cells are halved where the labels of their corners differ. What is not run has
        the values of a corner of its cell; ``ran`` says which were.
    threads, progress
        As in `samdyn.simulate`.

    Returns
    -------
    xarray.Dataset
        Over the two numbers: ``label``, a code with CF flag meanings:

        - ``converges``: to a fixed point, with a negative exponent;
        - ``cycle``: on a cycle of ``period`` 2 to 64;
        - ``trapped``: stays in the ball about the saddle, whatever it does there (``period`` is 1
          at a fixed point, 2 on a 2-cycle, 0 without one, and then a positive rate means chaos);
        - ``escapes``: left the ball, or leaves the saddle still, however slowly;
        - ``chaotic``: no period and a positive exponent by four standard errors;
        - ``diverges``; and ``undecided``, after all steps.

        ``rate``: the largest Lyapunov exponent at the end of the run, per step (a flow: per unit
        of time); where the particle escapes, the mean rate at which log |z - about| grew.
        ``steps`` taken. With ``about`` a point at which the step is smooth, ``spectral_radius``:
        the size of the largest multiplier there (a flow: exp of the largest real part), so that
        its contour at 1 is what theory has for the boundary of the trapped region (Kim et al.,
        arXiv 2301.06308, Theorem 1, is its limit for small lr).

    Raises
    ------
    ValueError
        If there are not two names, or values do not increase, or ``radius`` is missing.

    Examples
    --------
    >>> import samdyn as sd
    >>> saddle = sd.Map(sd.Loss("x**2/2 - y**2/2 + y**4/4"), sd.USAM(lr=0.1, rho=0.1))
    >>> found = phase_diagram(saddle, {"lr": [0.1, 0.2], "rho": [0.5, 1.5]}, [0.1, 0.01],
    ...                       about=(0, 0), radius=0.5, steps=2000, progress=False)
    >>> [[found.label.attrs["flag_meanings"].split()[k] for k in row] for row in found.label.values]
    [['escapes', 'trapped'], ['escapes', 'trapped']]
    """
    refuse_random(checked_system(system))
    cells = Cells(system, numbers, x0, about, radius, steps, threads, progress)
    checked_whole("refine", refine, 0)
    geometric = [_is_geometric(axis) for axis in cells.axes]
    axes, values, ran = refined(cells.evaluate, cells.axes, refine, geometric)
    label, rate, period, taken = values
    dims = cells.names
    about_label = {
        "long_name": "what the particle does",
        "flag_values": np.arange(len(LABELS), dtype=np.int8),
        "flag_meanings": " ".join(LABELS),
    }
    per = "1/time" if system.continuous else "1/step"
    result = xr.Dataset(
        {
            "label": (dims, label.astype(np.int8), about_label),
            "rate": (dims, rate, {"long_name": "largest exponent", "units": per}),
            "period": (dims, period.astype(np.int64), {"long_name": "period, 0 if none"}),
            "ran": (dims, ran, {"long_name": "whether the cell was run"}),
            "steps": (dims, taken.astype(np.int64), {"long_name": "steps taken", "units": "step"}),
        },
        coords=dict(zip(dims, axes, strict=True)),
        attrs={"title": f"phase diagram of {system.title}", **system.about},
    )
    result.attrs["points_run"] = int(np.sum(ran))
    if cells.center is not None:
        result.attrs |= {"about": [float(x) for x in cells.center], "radius": cells.radius}
        size = _spectral_radius(cells, axes)
        if size is not None:
            called = {"long_name": "size of the largest multiplier at the saddle"}
            result["spectral_radius"] = (dims, size, called)
    return result


def _spectral_radius(cells: Cells, axes: Sequence[np.ndarray]) -> np.ndarray | None:
    linear, center = cells.linear, cells.center
    assert center is not None
    a, b = np.meshgrid(*axes, indexing="ij")
    middle = {
        name: float(axis[len(axis) // 2]) for name, axis in zip(cells.names, axes, strict=True)
    }
    if Linear(cells.system.replace(**middle)).smoothness(center) == "jumps":
        return None
    states = np.broadcast_to(center, (*a.shape, len(center)))
    jacobian = linear.law(states, **dict(zip(cells.names, (a, b), strict=True)))[1]
    values = np.linalg.eigvals(jacobian)
    if linear.system.continuous:
        return np.exp(np.max(values.real, axis=-1))
    return np.max(np.abs(values), axis=-1)


def _is_geometric(axis: np.ndarray) -> bool:
    """Whether values are spaced evenly in their logarithm rather than in themselves."""
    if axis[0] <= 0 or len(axis) < 3:
        return False
    return bool(np.ptp(np.diff(np.log(axis))) < 1e-6 * np.log(axis[-1] / axis[0]))
