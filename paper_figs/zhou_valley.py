"""Zhou et al. (arXiv 2410.10373), Proposition 4.1 and Theorem 4.3: the valley and the rate.

Run ``python paper_figs/zhou_valley.py`` (or ``samdyn figure zhou-valley``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-valley").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
