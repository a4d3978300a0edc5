"""Small networks, and losses whose Hessian is a matrix at hand."""

import pytest


@pytest.fixture
def network():
    """A factory of tanh networks on made samples, as a problem and its weights."""
    torch = pytest.importorskip("torch")
    from samdyn.networks.problem import Problem, Samples

    def make(loss="mse", sizes=(6, 8, 4), n=40, chunk=4096, dtype=torch.float64):
        generator = torch.Generator().manual_seed(5)
        model = torch.nn.Sequential(
            torch.nn.Linear(sizes[0], sizes[1]), torch.nn.Tanh(), torch.nn.Linear(*sizes[1:])
        ).to(dtype)
        x = torch.randn(n, sizes[0], generator=generator, dtype=torch.float64).to(dtype)
        y = torch.randint(sizes[2], (n,), generator=generator)
        problem = Problem(model, Samples(x, y), loss, chunk)
        w = torch.randn(problem.dimension, generator=generator, dtype=torch.float64)
        return problem, (0.5 * w).to(dtype)

    return make


@pytest.fixture
def quadratic():
    """A factory of losses w.A w/2, each of whose three samples has the whole of it."""
    torch = pytest.importorskip("torch")
    from samdyn.networks.problem import Problem, Samples

    class Weights(torch.nn.Module):
        def __init__(self, w):
            super().__init__()
            self.w = torch.nn.Parameter(w)

        def forward(self, x):
            return self.w.expand(len(x), -1)

    def make(eigenvalues, dtype=torch.float64):
        values = torch.as_tensor(eigenvalues, dtype=torch.float64)
        d, generator = len(values), torch.Generator().manual_seed(1)
        turn = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
        matrix = (turn * values) @ turn.T
        matrix = ((matrix + matrix.T) / 2).to(dtype)
        w = torch.randn(d, generator=generator, dtype=torch.float64).to(dtype)
        samples = Samples(torch.zeros(3, 1, dtype=dtype), torch.zeros(3, 1, dtype=dtype))
        loss = lambda out, _: ((out @ matrix) * out).sum(dim=1) / 2  # noqa: E731
        return Problem(Weights(w), samples, loss), w, matrix, turn.to(dtype)

    return make
