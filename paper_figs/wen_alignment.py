"""Wen, Ma and Li (arXiv 2211.05729): the gradient turns to the top eigenvector.

Run ``python paper_figs/wen_alignment.py`` (or ``samdyn figure wen-alignment``); the files go to
figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("wen-alignment").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
