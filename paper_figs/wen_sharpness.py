"""Wen, Ma and Li (arXiv 2211.05729): three notions of sharpness and what each selects.

Run ``python paper_figs/wen_sharpness.py`` (or ``samdyn figure wen-sharpness``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("wen-sharpness").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
