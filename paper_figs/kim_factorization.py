"""Kim et al. (arXiv 2301.06308): the saddle of a matrix factorisation, trained with torch.

Run ``python paper_figs/kim_factorization.py`` (or ``samdyn figure kim-factorization``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-factorization").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
