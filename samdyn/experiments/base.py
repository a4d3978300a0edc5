"""What an experiment is: what to run, what must come out, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from samdyn.ensembles.result import finished
from samdyn.plot.style import STYLE

Runs = dict[str, xr.Dataset]
"""The results of an experiment, by name."""


class Claim(NamedTuple):
    """A statement that the results must bear out."""

    statement: str
    expected: str
    measured: str
    holds: bool


class Experiment(NamedTuple):
    """A named experiment.

    Attributes
    ----------
    compute : callable
        Runs it. All that a drawing needs is in what it returns.
    claims : callable
        Holds the results against the source.
    draw : callable
        Draws the results; it never simulates.
    """

    name: str
    title: str
    source: str
    caption: str
    compute: Callable[[], Runs]
    claims: Callable[[Runs], list[Claim]]
    draw: Callable[[Runs], Figure]

    def make(self, folder: Path) -> tuple[list[Path], list[Claim]]:
        """Run, save the results and the figure in a folder; return the files and the claims.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupted a run. Then nothing is saved.
        """
        runs = {name: finished(run) for name, run in self.compute().items()}
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / f"{self.name}.nc"
        xr.DataTree.from_dict(runs).to_netcdf(data, engine="h5netcdf")
        files = [data]
        with plt.rc_context(STYLE):
            figure = self.draw(runs)
            for kind in ("pdf", "png"):
                files.append(folder / f"{self.name}.{kind}")
                figure.savefig(files[-1])
            plt.close(figure)
        return files, self.claims(runs)
