"""Bartlett, Long and Bousquet (arXiv 2210.01513): SAM's 2-cycle and its drift toward wide minima.

Run ``python paper_figs/bartlett_drift.py`` (or ``samdyn figure bartlett-drift``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("bartlett-drift").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
