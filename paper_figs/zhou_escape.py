"""Zhou et al. (arXiv 2410.10373), Fig. 4b and 4c: SAM escapes exponentially fast, then converges.

Run ``python paper_figs/zhou_escape.py`` (or ``samdyn figure zhou-escape``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-escape").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
