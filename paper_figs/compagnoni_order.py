"""Monzio Compagnoni et al. (arXiv 2301.08203): USAM, DNSAM and SAM beside their SDEs.

Run ``python paper_figs/compagnoni_order.py`` (or ``samdyn figure compagnoni-order``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("compagnoni-order").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
