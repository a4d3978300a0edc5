"""Monzio Compagnoni et al. (arXiv 2301.08203): which algorithms a saddle attracts.

Run ``python paper_figs/compagnoni_saddle.py`` (or ``samdyn figure compagnoni-saddle``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("compagnoni-saddle").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
