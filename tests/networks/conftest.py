"""Networks are tested with one thread a process: more get in each other's way."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def self_taught():
    """Makes a network whose loss is 0, with its top eigenpair: it learns what it says itself."""
    torch = pytest.importorskip("torch")
    from samdyn.networks.models import initialised, mlp
    from samdyn.networks.problem import Problem, Samples

    def made(hidden, n):
        net = initialised(mlp(3, hidden, 1, activation="tanh").double(), 0)
        draw = torch.Generator().manual_seed(0)
        inputs = torch.randn(n, 3, generator=draw, dtype=torch.float64)
        problem = Problem(net, Samples(inputs, net(inputs).detach()), "mse")
        w = problem.start()
        hessian = torch.stack([problem.hvp(w, e) for e in torch.eye(len(w), dtype=w.dtype)])
        values, vectors = torch.linalg.eigh(hessian)
        return problem, values[-1].item(), vectors[:, -1]

    return made
