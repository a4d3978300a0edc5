"""Wen, Ma and Li (arXiv 2211.05729) on a network: what SAM lowers, by the samples of a step.

Run ``python paper_figs/wen_one_sam.py`` (or ``samdyn figure wen-one-sam``); the files go to
figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("wen-one-sam").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
