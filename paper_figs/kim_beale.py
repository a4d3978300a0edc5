"""Kim et al. (arXiv 2301.06308): SAM stuck at a saddle of the Beale function and of x^2 - y^2.

Run ``python paper_figs/kim_beale.py`` (or ``samdyn figure kim-beale``); the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-beale").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
