"""Wen, Ma and Li (arXiv 2211.05729), Figure 1: three kinds of SAM, three kinds of sharpness.

Run ``python paper_figs/wen_toy.py`` (or ``samdyn figure wen-toy``); the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("wen-toy").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
