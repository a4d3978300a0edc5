"""Long and Bartlett (arXiv 2309.12488): SAM's edge of stability along runs.

Run ``python paper_figs/long_edge.py`` (or ``samdyn figure long-edge``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("long-edge").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
