"""Zhou et al. (arXiv 2410.10373), Fig. 3 and Fig. 5: SAM in the last epochs, and in the first.

Run ``python paper_figs/zhou_late.py`` (or ``samdyn figure zhou-late``), with torch installed;
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-late").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
