"""Dai, Ahn and Sra (arXiv 2305.15287): what the normalisation in SAM is for.

Run ``python paper_figs/dai_normalization.py`` (or ``samdyn figure dai-normalization``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("dai-normalization").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
