"""Zhou et al. (arXiv 2410.10373), Fig. 4b and 4c: networks on digits leave what SGD found.

Run ``python paper_figs/zhou_network_escape.py`` (or ``samdyn figure zhou-network-escape``);
it needs torch; the files go to figures/.
"""

from pathlib import Path

from samdyn import experiments

files, claims = experiments.get("zhou-network-escape").make(Path("figures"))
for claim in claims:
    print(f"{claim.statement}: {claim.measured} (expected {claim.expected})")
print("saved", *files)
