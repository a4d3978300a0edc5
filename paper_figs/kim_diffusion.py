"""Kim et al. (arXiv 2301.06308): how far SGD and SAM diffuse from a saddle.

Run ``python paper_figs/kim_diffusion.py`` (or ``samdyn figure kim-diffusion``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-diffusion").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
