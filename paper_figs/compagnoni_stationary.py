"""Monzio Compagnoni et al. (arXiv 2301.08203): stationary laws of USAM and SAM on a quadratic.

Run ``python paper_figs/compagnoni_stationary.py`` (or ``samdyn figure compagnoni-stationary``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("compagnoni-stationary").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
