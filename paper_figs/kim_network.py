"""Kim et al. (arXiv 2301.06308) on digits: a network stuck at its saddle under SAM.

Run ``python paper_figs/kim_network.py`` (or ``samdyn figure kim-network``);
the files go to figures/. Needs torch.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-network").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
