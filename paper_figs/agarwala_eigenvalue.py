"""Agarwala and Dauphin (arXiv 2302.08692): SAM regularises the largest eigenvalue.

Run ``python paper_figs/agarwala_eigenvalue.py`` (or ``samdyn figure agarwala-eigenvalue``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("agarwala-eigenvalue").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
