"""Kim et al. (arXiv 2301.06308): a network of one neuron, stuck at a line of saddles.

Run ``python paper_figs/kim_toy_network.py`` (or ``samdyn figure kim-toy-network``);
the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("kim-toy-network").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
