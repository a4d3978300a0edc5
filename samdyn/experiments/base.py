"""What an experiment is: what to run, what must come out, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
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
    needs : str, optional
        A package without which it cannot be run; results that are saved can be read all the same.
    """

    name: str
    title: str
    source: str
    caption: str
    compute: Callable[[], Runs]
    claims: Callable[[Runs], list[Claim]]
    draw: Callable[[Runs], Figure]
    needs: str = ""

    @property
    def can_run(self) -> bool:
        """Whether what it needs is installed."""
        return not self.needs or find_spec(self.needs) is not None

    def make(self, folder: Path) -> tuple[list[Path], list[Claim]]:
        """Run, save the results and the figure in a folder; return the files and the claims.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupted a run. Then nothing is saved.
        """
        runs = self.run()
        return self.save(runs, folder), self.claims(runs)

    def run(self) -> Runs:
        """Run, to the end.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupted a run.
        ValueError
            If what it needs is not installed.
        """
        if not self.can_run:
            raise ValueError(
                f"{self.name} needs {self.needs}, which is not installed: "
                f'pip install "samdyn[{self.needs}]"'
            )
        return {name: finished(run) for name, run in self.compute().items()}

    def save(self, runs: Runs, folder: Path, kinds: Sequence[str] = ("pdf", "png")) -> list[Path]:
        """Write the results in a folder, then the figure as files of some kinds; return them."""
        folder.mkdir(parents=True, exist_ok=True)
        data = self.data(folder)
        whole = data.with_suffix(".nc.tmp")  # an older result stays until this one is whole
        try:
            xr.DataTree.from_dict(runs).to_netcdf(whole, engine="h5netcdf")
            whole.replace(data)
        finally:
            whole.unlink(missing_ok=True)
        files = [data]
        with plt.rc_context(STYLE):
            figure = self.draw(runs)
            for kind in kinds:
                files.append(folder / f"{self.name}.{kind}")
                figure.savefig(files[-1])
            plt.close(figure)
        return files

    def load(self, folder: Path) -> Runs:
        """The results that `save` wrote in a folder.

        Raises
        ------
        ValueError
            If there are none, or the file is not of that form.
        """
        data = self.data(folder)
        if not data.is_file():
            raise ValueError(
                f"{folder} has no {data.name}; `samdyn figure {self.name} --out {folder}` makes it"
            )
        try:
            with xr.open_datatree(data, engine="h5netcdf") as tree:
                return {
                    name: part.to_dataset(inherit=False).load()
                    for name, part in tree.children.items()
                }
        except (OSError, ValueError) as error:
            raise ValueError(f"{data} cannot be read as saved results: {error}") from None

    def data(self, folder: Path) -> Path:
        """Where in a folder the results are."""
        return folder / f"{self.name}.nc"
