"""Start-up: the time to import samdyn, and to simulate once with an empty and a full cache.

Every figure is of a fresh process, by its own clock from before the import. The second process
on a machine must compile nothing: it is asked how long LLVM worked, and the cache is compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_IMPORT = """
import time
began = time.perf_counter()
import samdyn
print(time.perf_counter() - began)
"""

_SIMULATE = """
import time
began = time.perf_counter()
import samdyn as sd
from numba.core import event
loss = sd.Loss("x**2/2 - y**2/2 + y**4/4")
with event.install_recorder("numba:compile") as compiled:
    sd.simulate(sd.Map(loss, sd.SAM(lr=0.05, rho=0.1)), [0.3, 0.01], 100, progress=False)
print(time.perf_counter() - began, len(compiled.buffer))
"""


def in_fresh_process(code: str, cache: str) -> list[float]:
    """The numbers that a program prints, run by a process of its own."""
    environment = os.environ | {"SAMDYN_CACHE_DIR": cache}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def contents(folder: str) -> dict[str, float]:
    """Every file of the cache that holds machine code or source, and when it was written."""
    files = [file for file in Path(folder).rglob("*") if file.suffix in {".py", ".nbi", ".nbc"}]
    return {str(file): file.stat().st_mtime for file in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="processes of each kind")
    repeats = parser.parse_args().repeats

    with tempfile.TemporaryDirectory() as folder:
        imported = min(in_fresh_process(_IMPORT, folder)[0] for _ in range(repeats))
    print(f"import samdyn             {imported:6.2f} s")

    cold = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(in_fresh_process(_SIMULATE, folder))
    print(f"simulate once, cold cache {min(cold)[0]:6.2f} s  ({min(cold)[1] / 2:.0f} compilations)")

    with tempfile.TemporaryDirectory() as folder:
        in_fresh_process(_SIMULATE, folder)
        before = contents(folder)
        warm = [in_fresh_process(_SIMULATE, folder) for _ in range(repeats)]
        unchanged = contents(folder) == before
    compilations = max(count for _, count in warm) / 2  # one event as it begins, one as it ends
    print(f"simulate once, warm cache {min(warm)[0]:6.2f} s  ({compilations:.0f} compilations)")
    if compilations or not unchanged or not before:
        sys.exit("a process with a warm cache compiled a kernel or wrote to the cache")
    print("warm processes compiled nothing and left the cache as it was")


if __name__ == "__main__":
    main()
