"""Kim et al. (arXiv 2302.10181): several ascent steps in SAM.

Run ``python paper_figs/kim_ascent.py`` (or ``samdyn figure kim-ascent``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-ascent").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
