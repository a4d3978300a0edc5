"""Si and Yun (arXiv 2306.09850): SAM of constant rho need not converge.

Run ``python paper_figs/si_convergence.py`` (or ``samdyn figure si-convergence``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("si-convergence").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
