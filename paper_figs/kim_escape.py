"""Kim et al. (arXiv 2301.06308): how long SGD and SAM take to leave a saddle.

Run ``python paper_figs/kim_escape.py`` (or ``samdyn figure kim-escape``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-escape").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
