"""Wen, Ma and Li (arXiv 2211.05729): SAM follows the limiting flows along the minimisers.

Run ``python paper_figs/wen_flow.py`` (or ``samdyn figure wen-flow``); the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("wen-flow").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
