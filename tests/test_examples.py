"""Every example and figure script runs top to bottom, as a reader would run it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from samdyn import experiments

ROOT = Path(__file__).parent.parent
FIGURES = sorted((ROOT / "paper_figs").glob("*.py"))
SCRIPTS = [*sorted((ROOT / "examples").glob("*.py")), ROOT / "paper_figs" / "kim_beale.py"]
SLOW = ("noisy_saddle.py", "sde.py", "any_map.py", "late_network.py", "after_training.py")
NEEDS_TORCH = ("late_network.py", "own_network.py", "after_training.py")
RECIPES = sorted((ROOT / "examples").glob("*.toml"))


def execute(command, folder):
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(path, id=path.name, marks=pytest.mark.slow if path.name in SLOW else ())
        for path in SCRIPTS
    ],
)
def test_script(script, tmp_path):
    if script.name in NEEDS_TORCH and not find_spec("torch"):
        pytest.skip("torch is not installed")
    assert execute([sys.executable, "-W", "error", str(script)], tmp_path)


@pytest.mark.parametrize("script", FIGURES, ids=lambda path: path.name)
def test_figure_scripts_are_one_but_for_the_name(script):
    """The experiments themselves are run in test_experiments."""
    name = script.stem.replace("_", "-")
    assert name in experiments.EXPERIMENTS
    ends = [path.read_text(encoding="utf-8").split('"""')[2] for path in (script, SCRIPTS[-1])]
    assert ends[0] == ends[1].replace("kim-beale", name)
    assert f"python paper_figs/{script.name}" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_recipe(recipe, tmp_path):
    out = execute([sys.executable, "-m", "samdyn.cli", "run", str(recipe)], tmp_path)
    assert "saved" in out
    assert (tmp_path / f"{recipe.stem}.nc").exists()


def test_readme_example(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block.split("```", 1)[0] for block in text.split("```python\n")[1:]]
    if not find_spec("torch"):
        blocks = [block for block in blocks if "samdyn.networks" not in block]
    code = "\n".join(blocks)
    (tmp_path / "readme.py").write_text(code, encoding="utf-8")
    execute([sys.executable, "-W", "error", "readme.py"], tmp_path)
