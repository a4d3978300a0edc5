"""Kim et al. (arXiv 2301.06308), Theorem 1: the saddle that un-normalised SAM makes an attractor.

Run ``python paper_figs/kim_transition.py`` (or ``samdyn figure kim-transition``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-transition").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
