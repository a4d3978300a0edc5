"""Kim et al. (arXiv 2301.06308): what SAM does at a saddle over lr and rho, beside theory.

Run ``python paper_figs/kim_phase_diagram.py`` (or ``samdyn figure kim-phase-diagram``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-phase-diagram").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
