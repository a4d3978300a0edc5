"""The cache of compiled kernels: found again by any process, and never in the way."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import samdyn as sd
from samdyn.readings import kernels

PROGRAM = """
import sys
import samdyn as sd
from samdyn.readings import kernels
system = sd.Map(sd.Loss("x**2/2 - y**2/2"), sd.GD(lr=0.1))
run = sd.simulate(system, [0.3, 0.1], 10, progress=False)
(kernel,) = kernels._loaded.values()
hits, misses = kernel.stats.cache_hits, kernel.stats.cache_misses
print(sum(hits.values()), sum(misses.values()), run.final.values.tolist())
"""


def start(folder, program=PROGRAM):
    return subprocess.Popen(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", program],
        env=os.environ | {"SAMDYN_CACHE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split(maxsplit=2)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache folder, and a process that has loaded nothing yet."""
    monkeypatch.setenv("SAMDYN_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(kernels, "_loaded", {})
    monkeypatch.setattr(kernels, "_told", set())
    return tmp_path / "kernels"


# the smallest module that has an ``advance``: it compiles in no time
SOURCE = '''\
"""{title}"""
from numba import njit

@njit("int64(int64)", cache=CACHE)
def advance(x):
    return x + {number}
'''


def source(number, title="A kernel"):
    return SOURCE.format(title=title, number=number)


def test_two_processes_may_want_a_kernel_at_once_and_a_third_compiles_nothing(tmp_path):
    both = [start(tmp_path) for _ in range(2)]
    one, other = map(finish, both)
    assert ["0", "1"] in (one[:2], other[:2])
    assert one[2] == other[2]
    assert len(list(tmp_path.glob("kernel_*.py"))) == 1
    assert not list(tmp_path.glob("*.tmp"))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    # whoever came last, the machine code on disk fits the module on disk
    third = finish(start(tmp_path))
    assert third == ["1", "0", one[2]]
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == files


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_told_once(fresh, monkeypatch, where, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAMDYN_CACHE_DIR", str(tmp_path / where))
    with pytest.warns(RuntimeWarning, match=r"cannot keep .* Set SAMDYN_CACHE_DIR"):
        first = kernels.load(source(1))
    second = kernels.load(source(2))  # a second warning would be an error here
    assert (first(1), second(1)) == (2, 3)
    assert kernels.listed() == []
    assert kernels.clear() == 0


def test_without_a_folder_the_same_is_computed(fresh, monkeypatch, tmp_path):
    system = sd.Map(sd.Loss("x**2/2 - y**2/2"), sd.GD(lr=0.1))
    kept = sd.simulate(system, [0.3, 0.1], 10, progress=False)
    monkeypatch.setenv("SAMDYN_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    kernels._loaded.clear()
    with pytest.warns(RuntimeWarning, match="cannot keep"):
        compiled = sd.simulate(system, [0.3, 0.1], 10, progress=False)
    np.testing.assert_array_equal(compiled.final, kept.final)


def test_loaded_once_in_a_process(fresh):
    assert kernels.load(source(1)) is kernels.load(source(1))
    assert kernels.load(source(1))(1) == 2


def test_another_source_has_another_key():
    assert kernels.key(source(1)) == kernels.key(source(1))
    assert kernels.key(source(1)) != kernels.key(source(2))
    # the title is for the reader: two losses of one formula share a kernel
    assert kernels.key(source(1)) == kernels.key(source(1, title="Another"))


def test_a_module_cut_short_on_disk_is_written_again(fresh):
    path = fresh / f"kernel_{kernels.key(source(1))}.py"
    fresh.mkdir()
    path.write_text(source(1)[:40])
    assert kernels.load(source(1))(1) == 2
    assert path.read_text() == source(1).replace("cache=CACHE", "cache=True")


def test_listed_and_clear(fresh):
    assert kernels.listed() == []
    for number, title in ((1, "First"), (2, "Second")):
        kernels.load(source(number, title))
        for path in fresh.rglob(f"kernel_{kernels.key(source(number, title))}.*"):
            os.utime(path, (number, number))
    newest, oldest = kernels.listed()
    assert (newest.title, oldest.title) == ("Second", "First")
    assert newest.key == kernels.key(source(2, "Second"))
    assert newest.path.parent == fresh
    assert newest.bytes > newest.path.stat().st_size  # machine code counts
    (fresh / "notes.txt").write_text("not a kernel")
    assert kernels.clear() == 2
    assert kernels.listed() == []
    left = [path.name for path in fresh.rglob("*") if path.is_file()]
    assert left == ["notes.txt"]
    assert kernels.clear() == 0


def test_the_folder_without_a_variable_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("SAMDYN_CACHE_DIR")
    assert kernels.folder().parts[-2:] == ("samdyn", "kernels")
    monkeypatch.setenv("SAMDYN_CACHE_DIR", "/some/where")
    assert kernels.folder() == Path("/some/where")


def test_a_long_compilation_is_announced(fresh, capfd, monkeypatch):
    kernels.load(source(3))
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(kernels, "_SLOW", 0.01)
    system = sd.Map(sd.Loss("x**2 + y**2/4"), sd.GD(lr=0.1))
    sd.simulate(system, [1.0, 1.0], 1, progress=False)
    assert capfd.readouterr().err.count("compiling a kernel") == 1
    # nothing is compiled the second time, so nothing is said
    sd.simulate(system, [1.0, 1.0], 1, progress=False)
    assert capfd.readouterr().err == ""


def test_a_kernel_from_disk_is_the_kernel_compiled(fresh):
    system = sd.Map(sd.Loss("exp(x)*y**2/2"), sd.GD(lr=0.1))
    x0 = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    compiled = sd.simulate(system, x0, 20, progress=False)
    kernels._loaded.clear()
    loaded = sd.simulate(system, x0, 20, progress=False)
    (kernel,) = kernels._loaded.values()
    assert sum(kernel.stats.cache_hits.values()) == 1
    np.testing.assert_array_equal(loaded.final, compiled.final)
