"""Zhou et al. (arXiv 2410.10373), Example 4.1 and Fig. 4a: SAM late in training, one sample.

Run ``python paper_figs/zhou_example.py`` (or ``samdyn figure zhou-example``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-example").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
