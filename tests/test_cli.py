import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import warnings
from pathlib import Path

import pytest
import xarray as xr

from samdyn import cli, losses
from samdyn.ensembles.recipe import build_system
from samdyn.systems.schemes import SCHEMES
from samdyn.systems.stochastic import STOCHASTIC_SCHEMES

ROOT = Path(__file__).parent.parent
FILE = """
[loss]
formula = "a*x**2/2 - y**2/2 + y**4/4"
variables = ["x", "y"]
constants = { a = 1.0 }

[algorithm]
name = "SAM"
lr = 0.05
rho = { linspace = [0.0, 0.5, 3] }

[simulate]
x0 = { grid = { x = [-1.0, 1.0, 3], y = [-1.0, 1.0, 5] } }
steps = 20
record = 10
until = [{ event = "Escape", region = "y > 0.8" }]
"""


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(map(str, arguments)))
    return ended.value.code


def test_list_names_everything(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    others = ("SAM", "Switch", "rk4", "Escape", "Reached", "kim-beale", "@samdyn.algorithm")
    for name in (*losses.names(), *others):
        assert f"  {name} " in out
    assert run("list", "schemes") == 0
    assert re.findall("^  ([a-z0-9_]+) ", capsys.readouterr().out, re.MULTILINE) == [
        *SCHEMES,
        *STOCHASTIC_SCHEMES,
    ]
    assert run("list", "figures") == 0
    assert "beale  " not in capsys.readouterr().out.replace("kim-beale", "")


def test_run_writes_a_file_that_xarray_reads(tmp_path, capsys):
    (tmp_path / "saddle.toml").write_text(FILE)
    assert run("run", tmp_path / "saddle.toml", "--out", tmp_path / "out" / "saddle.nc") == 0
    with xr.open_dataset(tmp_path / "out" / "saddle.nc", engine="h5netcdf") as result:
        assert result.w.dims == ("rho", "x", "y", "time", "coord")
    assert "saved" in capsys.readouterr().out


def in_help(start, end):
    text = re.search(start + r":\n(.*?)\n    " + end, cli.run.__doc__, re.DOTALL).group(1)
    return text.replace("\n        ", "\n")


def test_the_help_of_run_holds_a_complete_file(tmp_path, capsys):
    (tmp_path / "help.toml").write_text(in_help("A complete one", "A loss of"))
    assert run("run", tmp_path / "help.toml", "-o", tmp_path / "help.nc") == 0
    assert run("run", "--help") == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("linspace", "[flow]", "[map]"))


def test_the_tables_in_the_help_of_run_make_systems():
    text = in_help("A complete one", "A loss of") + in_help("`samdyn list schemes`", "Any map")
    flow = build_system(tomllib.loads(text))
    assert (flow.dt, flow.about["scheme"], flow.algorithm.lr) == (0.01, "rk4", 0.05)
    text = in_help("values of a constant", "Noise stands")
    assert build_system(tomllib.loads(text)).numbers["a"].shape == (13,)
    text = in_help(r"place of \[loss\] and \[algorithm\]", "After Ctrl-C")
    assert build_system(tomllib.loads(text)).numbers == {"s": 0.7, "dt": 0.01}
    loss = 'variables = ["x"]\ndata = { a = [1.0, 2.0], b = [0.0, 1.0] }\n'
    noisy = '[loss]\nformula = "a*x**2 - b*x"\n' + loss + '[algorithm]\nname = "GD"\nlr = 0.1\n'
    text = noisy + in_help("common_noise", "The SDE")
    assert build_system(tomllib.loads(text)).minibatches.order == "epochs"


FLOW = FILE.replace("[simulate]", '[flow]\ndt = 0.01\nscheme = "heun"\n\n[simulate]')
HENON = """
[map]
formulas = { x = "1 - a*x**2 + y", y = "b*x" }
constants = { a = { linspace = [0.2, 1.4, 3] }, b = 0.3 }

[simulate]
x0 = [0.1, 0.1]
steps = 30
record = 10
until = [{ event = "Reached", center = [0.6, 0.2], radius = 1e-3 }, { event = "Diverged" }]
"""
WHOLE = FILE.replace("lr = 0.05", "lr = 0.05\nmomentum = 0.9").replace(
    "y = [-1.0, 1.0, 5]", "y = 0.5, velocity_x = 0.1, velocity_y = [-1.0, 1.0, 5]"
)
OTHERS = {
    "flow": (FLOW, ("rho", "x", "y", "time", "coord")),
    "map": (HENON, ("a", "time", "coord")),
    "whole": (WHOLE, ("rho", "x", "velocity_y", "time", "coord")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_may_hold_a_flow_a_map_or_whole_states(name, tmp_path):
    text, dims = OTHERS[name]
    (tmp_path / "run.toml").write_text(text)
    assert run("run", tmp_path / "run.toml", "--out", tmp_path / "run.nc", "--no-progress") == 0
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as result:
        assert result.w.dims == dims
        assert ("t" in result) == (name == "flow")
        assert ("loss" in result) == (name != "map")
        assert ("row" in result) == (name == "whole")


REFUSALS = {
    "no file": ("missing.toml", None, "there is no file missing.toml"),
    "no toml": ("bad.toml", "[loss", "bad.toml is no TOML file"),
    "no loss": ("bad.toml", "", r"the recipe needs a table \[loss\]"),
    "formula": ("bad.toml", FILE.replace("**4/4", "^4/4"), "powers are written"),
    "attack": ("bad.toml", FILE.replace("a*x**2/2", "x.__class__"), "contains"),
    "steps": ("bad.toml", FILE.replace("steps = 20", "steps = -3"), "steps must be a whole"),
    "scheme": ("bad.toml", FLOW.replace("heun", "rk5"), "scheme must be one of euler, heun, rk4"),
    "map": ("bad.toml", HENON.replace("b = 0.3", "c = 0.3"), "formula names b, which is neither"),
    "rho": ("bad.toml", FILE.replace("[0.0, 0.5, 3]", "[-1.0, 0.5, 3]"), "rho must be at least 0"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_files_end_with_one_sentence(name, tmp_path, capsys, monkeypatch):
    file, text, message = REFUSALS[name]
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(file).write_text(text)
    assert run("run", file) == 2
    err = capsys.readouterr().err
    assert re.match("samdyn: .*" + message, err)
    assert err.count("\n") == 1


DESTINATIONS = {
    "folder": ("taken", "taken is a folder; name a file in it"),
    "parent": ("file/run.nc", "file/run.nc cannot be written: .*file is a file, not a folder"),
    "far parent": ("file/far/run.nc", "is a file, not a folder"),
    "unwritable": ("/proc/run.nc", "/proc/run.nc cannot be written"),
}


@pytest.mark.parametrize("name", DESTINATIONS)
def test_a_bad_destination_is_refused_before_the_run(name, tmp_path, capsys, monkeypatch):
    out, message = DESTINATIONS[name]
    if out.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("no folder that nobody can write to")
    monkeypatch.chdir(tmp_path)
    Path("saddle.toml").write_text(FILE)
    Path("taken").mkdir()
    Path("file").touch()
    monkeypatch.setattr("samdyn.ensembles.run.follow", lambda *_, **__: pytest.fail("was run"))
    assert run("run", "saddle.toml", "--out", out) == 2
    err = capsys.readouterr().err
    assert re.search(message, err)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileNotFoundError("unable to open\nfile"), "unable to open file"),
        (FileNotFoundError(2, "No such file", "a.nc"), "there is no file a.nc"),
        (FileExistsError(17, "File exists", "a"), "a cannot be used: File exists"),
        (IsADirectoryError(21, "Is a directory", "a"), "a cannot be used: Is a directory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_every_error_is_a_sentence(error, sentence):
    assert cli._sentence(error) == sentence


def test_a_function_of_ones_own_is_listed_among_the_algorithms(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    assert out.index("algorithms:") < out.index("@samdyn.algorithm") < out.index("events:")


LONG = FILE.replace("steps = 20", "steps = 2_000_000_000").replace("record = 10", "")
LONG = LONG.replace("until = ", "# until = ")


def interrupted(arguments, folder, begun):
    """The command line, sent Ctrl-C as soon as ``begun()`` holds: its status and messages."""
    command = subprocess.Popen(
        [sys.executable, "-m", "samdyn.cli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "SAMDYN_CACHE_DIR": str(folder / "kernels")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    waited = time.monotonic() + 60
    while not begun() and command.poll() is None and time.monotonic() < waited:
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    return command.returncode, err


def test_an_interrupted_run_saves_what_there_is(tmp_path):
    (tmp_path / "long.toml").write_text(LONG)
    (tmp_path / "long.nc").write_text("complete")

    def running():  # the kernel is compiled within seconds, the run takes far longer
        compiled = (tmp_path / "kernels").rglob("*.nbc")
        return any(time.time() > file.stat().st_mtime + 3 for file in compiled)

    options = ["run", "long.toml", "--store", "store", "--no-progress"]
    status, err = interrupted(options, tmp_path, running)
    assert status == 130
    last = err.splitlines()[-1]
    assert last == "samdyn: interrupted: 0 of 45 particles finished, saved long.partial.nc"
    assert ".py:" not in err
    assert (tmp_path / "long.nc").read_text() == "complete"
    assert list((tmp_path / "store").iterdir())
    with xr.open_dataset(tmp_path / "long.partial.nc", engine="h5netcdf") as result:
        assert (result.reason == 4).all()


def test_an_interruption_before_the_run_is_one_line(monkeypatch, capsys, tmp_path):
    def compiling(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("samdyn.readings.kernels.load", compiling)
    (tmp_path / "saddle.toml").write_text(FILE)
    assert run("run", tmp_path / "saddle.toml", "--out", tmp_path / "saddle.nc") == 130
    assert capsys.readouterr().err == "samdyn: interrupted\n"
    assert run("figure", "kim-beale", "--out", tmp_path / "figures") == 130
    assert capsys.readouterr().err == "samdyn: interrupted\n"
    assert not (tmp_path / "figures").exists()


@pytest.mark.filterwarnings("default")
def test_warnings_are_one_line_without_python(monkeypatch, capsys, tmp_path):
    from samdyn.ensembles import run as running

    follow = running.follow

    def warned(*arguments, **options):
        warnings.warn("something is odd", stacklevel=2)
        return follow(*arguments, **options)

    monkeypatch.setattr(running, "follow", warned)
    (tmp_path / "saddle.toml").write_text(FILE)
    assert run("run", tmp_path / "saddle.toml", "--out", tmp_path / "saddle.nc") == 0
    assert capsys.readouterr().err == "samdyn: something is odd\n"


def test_unknown_figure_and_key_are_refused(capsys):
    assert run("figure", "kim-bale") == 2
    assert "did you mean kim-beale" in capsys.readouterr().err
    assert run("cache", "show", "nonsense") == 2
    assert "matches 0 kernels" in capsys.readouterr().err


def test_cache_lists_shows_and_clears(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAMDYN_CACHE_DIR", str(tmp_path / "kernels"))
    from samdyn.readings import kernels

    monkeypatch.setattr(kernels, "_loaded", {})
    (tmp_path / "saddle.toml").write_text(FILE)
    run("run", tmp_path / "saddle.toml", "-o", tmp_path / "saddle.nc")
    capsys.readouterr()
    assert run("cache", "path") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "kernels")
    assert run("cache", "list") == 0
    listing = capsys.readouterr().out
    assert "1 kernels" in listing
    assert "SAM on" in listing
    assert run("cache", "show", listing[:8]) == 0
    assert "def advance(" in capsys.readouterr().out
    assert run("cache", "clear") == 0
    assert "removed 1 kernels" in capsys.readouterr().out
    assert run("cache", "list") == 0
    assert "0 kernels" in capsys.readouterr().out


def test_the_installed_command_and_its_help():
    out = subprocess.run(
        [sys.executable, "-m", "samdyn.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in ("list", "run", "figure", "verify", "cache", "--install-completion"):
        assert command in out
