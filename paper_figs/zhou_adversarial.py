"""Zhou et al. (arXiv 2410.10373), Fig. 6: adversarial training switched on late, on digits.

Run ``python paper_figs/zhou_adversarial.py`` (or ``samdyn figure zhou-adversarial``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-adversarial").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
