"""SAM in the last epochs of a network's training, and how flat it ends.

A perceptron learns scikit-learn's digits. In each run SGD hands over to SAM at another epoch; runs
that share a seed see the same minibatches. Needs torch: pip install "samdyn[torch]".
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import samdyn as sd
import samdyn.networks as nets

torch.set_num_threads(1)  # small networks are faster so

EPOCHS = 20
common = {"lr": 0.03, "momentum": 0.9, "weight_decay": 5e-4}
begins = np.array([0, 10, 16, 18, 19, 20])  # SAM from the start … SGD to the end
late = sd.Switch([(0, sd.GD(**common)), (begins, sd.SAM(rho=0.2, **common))], unit="epoch")

run = nets.train(
    nets.models.mlp(64, 64, 10),
    nets.data.digits(),
    late,
    epochs=EPOCHS,
    batch_size=32,
    loss="mse",
    seed=range(3),
    record=[EPOCHS],
    track=["top_eigenvalue", "trace"],
    together=True,
)

share = 100 * (EPOCHS - begins) / EPOCHS
end = run.isel(epoch=-1)
for k in range(len(begins)):
    here = end.isel(switch=k).mean("seed")
    print(
        f"SAM in the last {share[k]:3.0f} %: largest eigenvalue {here.top_eigenvalue:5.2f}, "
        f"trace {here.trace:6.1f}, test error {100 * here.test_error:.2f} %"
    )

fig, ax = plt.subplots(layout="constrained")
mean, spread = end.top_eigenvalue.mean("seed"), end.top_eigenvalue.std("seed", ddof=1)
ax.errorbar(share, mean, spread, fmt="o-", capsize=3)
ax.set(xlabel="epochs trained by SAM, the last (%)", ylabel="largest eigenvalue of the Hessian")
fig.savefig("late_network.png")
