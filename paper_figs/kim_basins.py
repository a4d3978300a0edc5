"""Kim et al. (arXiv 2301.06308): basins of the Beale function's minimum and saddle as rho grows.

Run ``python paper_figs/kim_basins.py`` (or ``samdyn figure kim-basins``); the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-basins").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
