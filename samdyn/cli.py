"""The command line: parse, call, show."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
import tomllib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from samdyn.version import VERSION

if TYPE_CHECKING:
    from samdyn.experiments import verification

app = App(
    name="samdyn",
    version=VERSION,
    suppress_keyboard_interrupt=False,  # main says so in a line
    help=(
        "A dynamical-systems simulator for Sharpness-Aware Minimization.\n\n"
        "Start with `samdyn figure kim-beale`, which reproduces a figure in seconds, then "
        "`samdyn list` to see what there is."
    ),
)
cache = App(name="cache", help="Compiled kernels kept on disk: list, show, clear, path.")
app.command(cache)
app.register_install_completion_command()


@app.command(name="list")
def list_(
    what: Literal["losses", "algorithms", "schemes", "events", "figures", "all"] = "all",
) -> None:
    """List the losses, algorithms, schemes, events and figures that samdyn knows.

    Parameters
    ----------
    what
        Which of them.
    """
    from samdyn import algorithms, experiments, losses
    from samdyn.ensembles.recipe import ALGORITHMS, EVENTS
    from samdyn.systems.schemes import SCHEMES
    from samdyn.systems.stochastic import STOCHASTIC_SCHEMES

    sections = {
        "losses": {function.__name__: function for function in losses.LIBRARY},
        "algorithms": {**ALGORITHMS, "@samdyn.algorithm": algorithms.algorithm},
        "schemes": SCHEMES,
        "events": EVENTS,
    }
    for title, entries in sections.items():
        if what in (title, "all"):
            said = {name: _first_line(entry) for name, entry in entries.items()}
            if title == "schemes":
                said |= {
                    name: f"For SDEs; weak order {one.weak_order:g}, strong {one.strong_order:g}."
                    for name, one in STOCHASTIC_SCHEMES.items()
                }
            _table(title, said)
    if what in ("figures", "all"):
        _table("figures", {name: e.title for name, e in experiments.EXPERIMENTS.items()})


@app.command
def run(
    file: Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    threads: int | None = None,
    progress: bool = True,
    store: Path | None = None,
) -> None:
    """Run the experiment that a TOML file describes and save the result as netCDF.

    The file has the tables [loss], [algorithm] and [simulate]; with a table [flow] besides, the
    algorithm's flow is run and not its map, and a table [map] stands in place of [loss] and
    [algorithm]. A complete one:

        [loss]
        formula = "a*x**2/2 - y**2/2 + y**4/4"
        variables = ["x", "y"]
        constants = { a = 1.0 }

        [algorithm]
        name = "SAM"
        lr = 0.05
        rho = { linspace = [0.0, 0.5, 11] }

        [simulate]
        x0 = { grid = { x = [-1.0, 1.0, 50], y = [-1.0, 1.0, 50] } }
        steps = 1000
        record = 100
        until = [{ event = "Escape", region = "y > 0.8" }]

    A loss of the library is named instead: [loss] name = "beale".

    The flow, in steps of dt by a scheme of `samdyn list schemes`:

        [flow]
        dt = 0.01
        scheme = "rk4"

    Any map by its formulas, here with 13 values of a constant:

        [map]
        formulas = { x = "1 - a*x**2 + y", y = "b*x" }
        constants = { a = { linspace = [0.2, 1.4, 13] }, b = 0.3 }

    Noise stands in the loss: noise = ["xi"], or data = { a = [1.0, 2.0], b = [0.0, 1.0] } with
    minibatches, and [simulate] may have a seed and common_noise:

        [batches]
        batch_size = [1, 2]
        sampling = "epochs"

    The SDE that the algorithm follows, or with a drift any SDE in place of [loss] and [algorithm]:

        [sde]
        dt = 0.01
        scheme = "euler_maruyama"
        drift = { x = "x - x**3" }
        diffusion = { x = "s" }
        constants = { s = 0.7 }

    After Ctrl-C what there is goes to a file ending in .partial.nc.

    Parameters
    ----------
    file
        The TOML file.
    out
        The netCDF file to write. Default: the TOML file's name with .nc, in the current folder.
    threads
        Default: as many as there are processors.
    progress
        Show a progress bar on runs longer than a second.
    store
        A folder for finished parts: the same command then goes on where it was interrupted.
    """
    from samdyn.ensembles.events import REASONS
    from samdyn.ensembles.run import follow

    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML file: {error}") from None
    target = out or Path(file.with_suffix(".nc").name)
    _check_destination(target)
    result = follow(written, threads=threads, progress=progress, store=store)
    interrupted = int((result.reason == REASONS.index("interrupted")).sum())
    if interrupted:
        target = target.with_name(f"{target.stem}.partial.nc")
    target.parent.mkdir(parents=True, exist_ok=True)
    result.to_netcdf(target, engine="h5netcdf")
    if interrupted:
        done = f"{result.reason.size - interrupted} of {result.reason.size} particles finished"
        raise KeyboardInterrupt(f"{done}, saved {target}")
    print(result)
    print(f"\nsaved {target}")
    print(f'read it again: xarray.open_dataset("{target}", engine="h5netcdf")')


@app.command
def figure(
    name: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("figures"),
) -> None:
    """Reproduce a figure: run it, check what must come out, save PDF, PNG and data.

    Parameters
    ----------
    name
        A figure's name, such as kim-beale; `samdyn list figures` shows all.
    out
        The folder for the files.
    """
    from samdyn import experiments
    from samdyn.experiments import claims_table

    experiment = experiments.get(name)
    _check_destination(out / name)
    print(f"{experiment.title}\n({experiment.source})\n")
    began = time.perf_counter()
    files, claims = experiment.make(out)
    print(claims_table.text([("", claims)]))
    print(f"\n{experiment.caption}\n")
    print(f"{time.perf_counter() - began:.1f} s, saved " + ", ".join(map(str, files)))
    if not all(claim.holds for claim in claims):
        raise ValueError(f"figure {name}: not everything came out as the source says")


@app.command
def verify(
    *names: str,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
) -> int:
    """Hold experiments against their sources: one table of what must come out and what did.

    Each row has a statement, the number of the paper or of a closed form that is expected, the
    number that came out, and whether they agree. The exit status is 1 if any does not.

        samdyn verify
        samdyn verify kim-beale kim-escape --out results
        samdyn verify --from results

    All experiments take some minutes; a line says when each is done. Ctrl-C shows the table of
    those that are done, and the command that goes on with the others.

    Parameters
    ----------
    names
        Which experiments; `samdyn list figures` shows all. Default: all.
    out
        A folder that keeps results and figures, as `samdyn figure` does, and the table as
        claims.csv and claims.md. Rows that the table has of other experiments stay.
    from_
        A folder with saved results, which are taken in place of running again. Default of the
        names: those that it has.
    """
    from samdyn import experiments
    from samdyn.experiments import verification

    chosen = [experiments.get(name) for name in dict.fromkeys(names)]
    if not names:
        chosen = list(experiments.EXPERIMENTS.values())
        lacking = [each for each in chosen if from_ is None and not each.can_run]
        chosen = [each for each in chosen if each not in lacking]
        for each in lacking:
            said = f"{each.name} is left out: it needs {each.needs}, which is not installed"
            print(f"samdyn: {said}", file=sys.stderr)
    if from_ is not None:
        known, chosen = chosen, verification.saved_in(from_, chosen)
        absent = ", ".join(one.name for one in known if one not in chosen)
        if names and absent:
            raise ValueError(f"{from_} has no results of {absent}; leave the name out, or --from")
        if absent:
            print(f"samdyn: not in {from_}: {absent}", file=sys.stderr)
    if out is not None:
        _check_destination(out / "claims.csv")
    done: list[verification.Verified] = []
    try:
        for one in verification.verify(chosen, saved=from_, out=out):
            done.append(one)
            said = f"{one.held} of {len(one.claims)} claims hold ({one.seconds:.1f} s)"
            place = f"{len(done)} of {len(chosen)}"
            print(f"samdyn: {place}, {one.experiment.name}: {said}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        if done:
            _print_verified(done)
        again = ["samdyn", "verify", *(one.name for one in chosen[len(done) :])]
        for option, folder in (("--from", from_), ("--out", out)):
            again += [option, str(folder)] if folder is not None else []
        raise KeyboardInterrupt(
            f"{len(done)} of {len(chosen)} experiments done; to go on: {shlex.join(again)}"
        ) from None
    _print_verified(done)
    if out is not None:
        print(f"samdyn: saved {out / 'claims.csv'} and {out / 'claims.md'}", file=sys.stderr)
    return int(any(one.held < len(one.claims) for one in done))


@cache.command(name="list")
def cache_list() -> None:
    """List the compiled kernels: key, size, when made, what they run."""
    from samdyn.readings import kernels

    found = kernels.listed()
    for kernel in found:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(kernel.modified))
        print(f"{kernel.key}  {kernel.bytes / 1024:7.0f} KiB  {made}  {kernel.title}")
    total = sum(kernel.bytes for kernel in found) / 2**20
    print(f"{len(found)} kernels, {total:.1f} MiB in {kernels.folder()}")


@cache.command
def show(key: str) -> None:
    """Print the generated source of a kernel.

    Parameters
    ----------
    key
        The kernel's key, or its beginning, from `samdyn cache list`.
    """
    from samdyn.readings import kernels

    matching = [kernel for kernel in kernels.listed() if kernel.key.startswith(key)]
    if len(matching) != 1:
        raise ValueError(
            f"key {key!r} matches {len(matching)} kernels; see `samdyn cache list` for the keys"
        )
    print(matching[0].path.read_text(encoding="utf-8"))


@cache.command
def clear() -> None:
    """Remove all compiled kernels; they are compiled again when needed."""
    from samdyn.readings import kernels

    print(f"removed {kernels.clear()} kernels from {kernels.folder()}")


@cache.command
def path() -> None:
    """Print the folder of the compiled kernels (set by SAMDYN_CACHE_DIR)."""
    from samdyn.readings import kernels

    print(kernels.folder())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends it with one sentence and exit status 2."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            # an interruption has its own line
            warnings.filterwarnings("ignore", message="interrupted:")
            app(arguments)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"samdyn: {_sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interruption:
        said = f": {interruption}" if str(interruption) else ""
        print(f"samdyn: interrupted{said}", file=sys.stderr)
        sys.exit(130)


def _check_destination(target: Path) -> None:
    """Refuse a file that could not be written, before the work that would be lost."""
    if target.is_dir():
        raise ValueError(f"{target} is a folder; name a file in it, such as {target / 'run.nc'}")
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise ValueError(f"{target} cannot be written: {folder} is a file, not a folder")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if target.exists():
            target.open("ab").close()
    except OSError as error:
        raise ValueError(f"{target} cannot be written: {error.strerror}") from None


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning in one line, without the line of Python that gave it."""
    print(f"samdyn: {message}", file=sys.stderr)


def _sentence(error: BaseException) -> str:
    filename = getattr(error, "filename", None)
    if isinstance(error, OSError) and filename is not None:
        if isinstance(error, FileNotFoundError):
            return f"there is no file {filename}"
        return f"{filename} cannot be used: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _first_line(entry: Any) -> str:
    return (entry.__doc__ or "").strip().split("\n", 1)[0]


def _table(title: str, entries: dict[str, str]) -> None:
    print(f"{title}:")
    for name, text in entries.items():
        print(f"  {name:<24} {text}")


def _print_verified(done: list[verification.Verified]) -> None:
    """The table of experiments, and how many claims hold."""
    from samdyn.experiments import claims_table

    parts = [(f"{one.experiment.name} ({one.experiment.source})", one.claims) for one in done]
    held, claimed = sum(one.held for one in done), sum(len(one.claims) for one in done)
    print(f"{claims_table.text(parts)}\n\n{held} of {claimed} claims hold")


if __name__ == "__main__":
    main()
