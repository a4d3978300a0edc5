"""One's own torch module, data, loss and measure, trained by SAM, and the module back.

Nothing has to be registered or subclassed. Needs torch: pip install "samdyn[torch]".
"""

import torch
from torch import nn

import samdyn as sd
import samdyn.networks as nets

torch.set_num_threads(1)  # small networks are faster so


class Residual(nn.Module):
    """A regression with batch norm and a skip connection."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.first, self.norm = nn.Linear(2, width, bias=False), nn.BatchNorm1d(width)
        self.second, self.last = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Positions (n, 2) to numbers (n,)."""
        hidden = torch.tanh(self.norm(self.first(x)))
        return self.last(hidden + torch.tanh(self.second(hidden)))[:, 0]


def huber(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """One loss for each sample, of shape (n,)."""
    return nn.functional.huber_loss(outputs, targets, reduction="none", delta=0.5)


def bias(problem: nets.Problem, w: torch.Tensor) -> float:
    """How far predictions are from the targets on average: any number of the weights will do."""
    return float((problem.outputs(w, problem.samples.inputs) - problem.samples.targets).mean())


draws = torch.Generator().manual_seed(0)
x = 4 * torch.rand(600, 2, generator=draws) - 2
y = torch.sin(2 * x[:, 0]) * x[:, 1] + 0.2 * torch.randn(600, generator=draws)
train, test = nets.Samples(x[:400], y[:400]), nets.Samples(x[400:], y[400:])

model = Residual()
run = nets.train(
    model,
    nets.data.Data(train, test, "waves"),
    sd.SAM(lr=0.1, rho=[0.0, 0.05], momentum=0.9),
    epochs=20,
    batch_size=32,
    loss=huber,
    seed=range(2),
    track={"bias": bias},
    every=10,
    schedule=nets.cosine,
    checkpoint="own_network",  # the same call again, if interrupted, goes on from here
)
print(run[["train_loss", "test_loss", "bias"]].isel(epoch=-1).mean("seed").to_dataframe())

best = nets.trained(model, run.sel(rho=0.05, seed=0))  # an ordinary module, with its statistics
with torch.no_grad():
    print("test error of the module:", float((best(test.inputs) - test.targets).abs().mean()))
