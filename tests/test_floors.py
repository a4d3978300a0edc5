"""The shape of the house: imports point down, and a bare import is light."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("numba", "sympy", "scipy", "matplotlib", "xarray", "torch", "pandas")


def test_imports_point_down_the_floors():
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_bare_import_loads_nothing_heavy():
    code = "import sys, samdyn; print(*(m for m in sys.modules if '.' not in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(out.stdout.split()) & set(HEAVY)


def test_every_public_name_is_there_and_documented():
    import samdyn

    for name in samdyn.__all__:
        value = getattr(samdyn, name)
        assert value.__doc__, name
        assert name in dir(samdyn)
    assert callable(samdyn.simulate)


def test_generated_files_are_not_committed():
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not [name for name in done.stdout.split() if name.endswith((".nc", ".pdf", ".npz"))]


def test_the_experiments_are_known_without_torch():
    code = "import sys, samdyn.cli, samdyn.experiments; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
