"""Zhou et al. (arXiv 2410.10373), Theorems 4.1 and 4.2: bounds on stability and the truth.

Run ``python paper_figs/zhou_stability.py`` (or ``samdyn figure zhou-stability``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-stability").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
