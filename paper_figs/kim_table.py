"""Kim et al. (arXiv 2301.06308), Table 1, on digits: rho and momentum.

Run ``python paper_figs/kim_table.py`` (or ``samdyn figure kim-table``);
the files go to figures/. Needs torch.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-table").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
