"""One training step: against the NumPy reading, torch's own optimisers, and the fine print."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import samdyn as sd  # noqa: E402
from samdyn.networks.oracle import BatchOracle, Running  # noqa: E402
from samdyn.networks.order import Batch, Order  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402
from samdyn.networks.stepping import carried, draws, started, step  # noqa: E402
from samdyn.networks.workbench import Workbench  # noqa: E402

START = (0.7, -0.4, 1.1)
N = 7
DATA = np.random.default_rng(5).normal(size=(3, N))
FORMULA = "(tanh(a1*x + a2*y)*z - b)**2/2 + 0.1*(x*y*z)**2"


class Formula(nn.Module):
    """The same formula in torch, one output for each sample."""

    def __init__(self):
        super().__init__()
        self.xy = nn.Parameter(torch.tensor(START[:2], dtype=torch.float64))
        self.z = nn.Parameter(torch.tensor(START[2], dtype=torch.float64))

    def forward(self, inputs):
        x, y, z = *self.xy, self.z
        a1, a2, b = inputs.unbind(dim=1)
        return (torch.tanh(a1 * x + a2 * y) * z - b) ** 2 / 2 + 0.1 * (x * y * z) ** 2


def own(outputs, targets):
    return outputs


def samples(columns=DATA):
    inputs = torch.as_tensor(np.array(columns.T))
    return Samples(inputs, torch.zeros(len(inputs), dtype=torch.long))


def numpy_loss(columns=DATA):
    data = dict(zip(("a1", "a2", "b"), columns, strict=True))
    return sd.Loss(FORMULA, variables="x y z", data=data)


def trajectory(algorithm, batches, steps, model=None, loss=own, kind=Workbench):
    problem = kind(model or Formula(), samples(), loss)
    state = started(algorithm, problem.start(), problem.buffers)
    path = [state.w.numpy().copy()]
    for _ in range(steps):
        state = step(problem, algorithm, algorithm.numbers, state, batches)
        path.append(state.w.numpy().copy())
    return np.array(path)


def whole():
    while True:
        yield Batch(samples())


@pytest.mark.parametrize("kind", [Problem, Workbench])
@pytest.mark.parametrize(
    "algorithm",
    [
        sd.GD(lr=0.1),
        sd.GD(lr=0.1, momentum=0.9),
        sd.GD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
        sd.SAM(lr=0.1, rho=0.2),
        sd.SAM(lr=0.1, rho=0.2, momentum=0.9, weight_decay=0.05),
        sd.SAM(lr=0.1, rho=0.2, weight_decay=0.05, decay_in_ascent=True),
        sd.SAM(lr=0.1, rho=0.2, ascent_steps=3),
        sd.USAM(lr=0.1, rho=0.2),
        sd.ASAM(lr=0.1, rho=0.2),
        sd.DNSAM(lr=0.1, rho=0.2),
        sd.Lookahead(sd.SAM(lr=0.1, rho=0.2, momentum=0.5), k=3),
    ],
    ids=lambda value: repr(value)[:70],
)
def test_every_algorithm_equals_its_numpy_reading(algorithm, kind):
    found = trajectory(algorithm, whole(), 5, kind=kind)
    system = sd.Map(numpy_loss(), algorithm)
    expected = [system.apply(START, steps=k) for k in range(6)]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


def descent(columns, algorithm, w):
    return sd.Map(numpy_loss(columns), algorithm).descent_gradient(w)


@pytest.mark.parametrize("fewest", [1, 100])  # all parts at once, or one by one
@pytest.mark.parametrize("m", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("kind", [sd.SAM, sd.ASAM])
def test_m_sam_is_the_mean_of_sam_gradients_of_parts_weighted_by_size(m, kind, fewest, monkeypatch):
    monkeypatch.setattr("samdyn.networks.parts._FEWEST", fewest)
    algorithm, single = kind(lr=0.1, rho=0.2, m=m), kind(lr=0.1, rho=0.2)
    found = trajectory(algorithm, whole(), 1)[1]
    parts = [DATA[:, k : k + m] for k in range(0, N, m)]
    g = sum(part.shape[1] / N * descent(part, single, np.array(START)) for part in parts)
    np.testing.assert_allclose(found, START - 0.1 * g, rtol=1e-14, atol=1e-14)


def test_m_1_equals_the_numpy_reading_of_m_sam():
    algorithm = sd.SAM(lr=0.1, rho=0.2, m=1, weight_decay=0.05)
    system = sd.Map(numpy_loss(), algorithm, batch_size=N, sampling="subset")
    np.testing.assert_allclose(
        trajectory(algorithm, whole(), 1)[1], system.apply(START), rtol=1e-14, atol=1e-14
    )


def test_dnsam_divides_by_the_length_of_the_full_gradient():
    few = DATA[:, :2]
    w = np.array(START)
    found = trajectory(sd.DNSAM(lr=0.1, rho=0.2), iter([Batch(samples(few))]), 1)[1]
    g, mean = (numpy_loss(columns).grad(w) for columns in (few, DATA))
    up = w + 0.2 * g / np.linalg.norm(mean)
    np.testing.assert_allclose(found, w - 0.1 * numpy_loss(few).grad(up), rtol=1e-14)


def test_lookahead_takes_a_batch_for_each_inner_step():
    order = Order(samples(), batch_size=3, seed=1)
    algorithm = sd.Lookahead(sd.GD(lr=0.1), k=4, alpha=0.5)
    found = trajectory(algorithm, (order.batch(k) for k in range(4)), 1)[1]
    w = np.array(START)
    for k in range(4):
        columns = order.batch(k).samples.inputs.numpy().T
        w = w - 0.1 * numpy_loss(columns).grad(w)
    np.testing.assert_allclose(found, 0.5 * (np.array(START) + w), rtol=1e-14)
    assert draws(algorithm) == 4
    assert draws(sd.SAM(lr=0.1, rho=0.1, m=1)) == 1


def net(dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)


def classes(n=20, dtype=torch.float64):
    draw = torch.Generator().manual_seed(4)
    inputs = torch.randn(n, 5, generator=draw, dtype=dtype)
    return Samples(inputs, torch.randint(3, (n,), generator=draw))


def ours(algorithm, model, data, steps, batch_size=6):
    problem = Workbench(model, data, "cross_entropy")
    order = Order(data, batch_size, seed=0)
    state = started(algorithm, problem.start(), problem.buffers)
    batches = (order.batch(k) for k in range(10**6))
    for _ in range(steps):
        state = step(problem, algorithm, algorithm.numbers, state, batches)
    return state


def flat(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def by_torch(model, data, steps, rho, batch_size=6, **options):
    """Two backward passes around torch.optim.SGD, as everyone writes SAM."""
    order = Order(data, batch_size, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), **options)
    loss = nn.CrossEntropyLoss()
    for k in range(steps):
        inputs, targets = order.batch(k).samples
        optimizer.zero_grad()
        loss(model(inputs), targets).backward()
        if rho:
            length = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
            before = [p.detach().clone() for p in model.parameters()]
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(rho * p.grad / length)
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            with torch.no_grad():
                for p, old in zip(model.parameters(), before, strict=True):
                    p.copy_(old)
        optimizer.step()
    return flat(model)


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_fifty_steps_equal_torch_sgd_and_a_plain_two_step_sam(rho):
    options = {"momentum": 0.9, "weight_decay": 0.01}
    algorithm = sd.SAM(lr=0.1, rho=rho, **options) if rho else sd.GD(lr=0.1, **options)
    found = ours(algorithm, net(), classes(), 50).w
    expected = by_torch(net(), classes(), 50, rho, lr=0.1, **options)
    assert (found - flat(net())).norm() > 0.5
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def test_batch_norm_statistics_move_once_a_step_and_by_the_unperturbed_pass():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).double()
    data = classes(8)
    for algorithm in (
        sd.GD(lr=0.1),
        sd.SAM(lr=0.1, rho=0.5),
        sd.SAM(lr=0.1, rho=0.5, ascent_steps=3),
        sd.DNSAM(lr=0.1, rho=0.5),
    ):
        state = ours(algorithm, model, data, 1, batch_size=8)
        plain = nn.Sequential(*model).train()
        reference = {name: b.clone() for name, b in plain.named_buffers()}
        torch.func.functional_call(plain, reference, (data.inputs,))
        assert state.buffers["1.num_batches_tracked"] == 1
        for name, expected in reference.items():
            torch.testing.assert_close(state.buffers[name], expected, rtol=1e-12, atol=1e-14)
    assert model[1].num_batches_tracked == 0


def test_batch_norm_with_parts_takes_the_mean_of_what_each_part_would_make():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    data = classes(8)
    state = ours(sd.SAM(lr=0.1, rho=0.5, m=3), model, data, 1, batch_size=8)
    hidden = model[0](Order(data, 8, seed=0).batch(0).samples.inputs).detach()
    means = [hidden[k : k + 3].mean(dim=0) * len(hidden[k : k + 3]) / 8 for k in (0, 3, 6)]
    assert state.buffers["1.num_batches_tracked"] == 1
    torch.testing.assert_close(state.buffers["1.running_mean"], 0.1 * sum(means))


def test_a_layer_that_a_pass_skips_does_not_move():
    class Skipping(nn.Module):
        """One layer is never reached, one by every other pass only: not by the perturbed ones."""

        def __init__(self):
            super().__init__()
            self.used, self.other, self.never = (nn.Linear(5, 3) for _ in range(3))
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.used(x) + self.other(x) if self.calls % 2 else self.used(x)

    model = Skipping().double()
    still = ours(sd.SAM(lr=0.0, rho=0.5), model, classes(), 3)
    assert torch.equal(still.w, flat(model))  # what was perturbed is back where it was
    moved = ours(sd.SAM(lr=0.1, rho=0.5, momentum=0.9), model, classes(), 3).w != flat(model)
    assert moved[:18].all()
    assert not moved[18:].any()


def test_a_zero_gradient_perturbs_nothing():
    model = nn.Linear(5, 1, bias=False).double()
    with torch.no_grad():
        model.weight.zero_()
    data = Samples(classes().inputs, torch.zeros(20, 1, dtype=torch.float64))
    problem = Workbench(model, data, "mse")
    sam = sd.SAM(lr=0.1, rho=1.0)
    state = step(problem, sam, sam.numbers, started(sam, problem.start(), {}), iter([Batch(data)]))
    assert torch.equal(state.w, problem.start())


def test_nothing_that_is_given_changes():
    model = net()
    problem, sam = (
        Workbench(model, classes(), "cross_entropy"),
        sd.SAM(lr=0.1, rho=0.1, momentum=0.9),
    )
    state = started(sam, problem.start(), problem.buffers)
    w, v = (z.clone() for z in state.z)
    step(problem, sam, sam.numbers, state, iter([Batch(classes())]))
    assert torch.equal(state.z[0], w)
    assert torch.equal(state.z[1], v)
    assert torch.equal(flat(model), w)


def test_dropout_draws_one_mask_for_both_gradients_of_a_step():
    model = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3)).double()
    problem = Workbench(model, classes(), "cross_entropy")
    oracle = BatchOracle(problem, Running({}), iter([Batch(classes(), 7), Batch(classes(), 8)]))
    w = problem.start()
    with torch.random.fork_rng():
        first, second, other = oracle(w), oracle(w), oracle.redrawn()(w)
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)


def test_the_order_is_of_the_seed_alone_and_every_sample_comes_once_an_epoch():
    data = classes(20)
    one, same, other = Order(data, 6, 0), Order(data, 6, 0), Order(data, 6, 1)
    assert one.per_epoch == 4
    assert Order(data, 6, 0, drop_last=True).per_epoch == 3
    batches = [one.batch(k).samples.inputs for k in range(8)]
    assert [len(b) for b in batches[:4]] == [6, 6, 6, 2]
    for epoch in (batches[:4], batches[4:]):
        seen = torch.cat(epoch)[:, 0].sort().values
        assert torch.equal(seen, data.inputs[:, 0].sort().values)
    assert not torch.equal(batches[0], batches[4])
    assert torch.equal(same.batch(5).samples.inputs, batches[5])  # asked out of turn
    assert not torch.equal(other.batch(0).samples.inputs, batches[0])


def test_augmentation_draws_anew_for_each_batch_and_alike_for_each_algorithm():
    def noise(inputs, generator):
        return torch.rand(inputs.shape, generator=generator)

    drawn = [Order(classes(20), 5, 0, augment=noise).batch(k).samples.inputs for k in (0, 1, 0)]
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_momentum_is_kept_or_reset_where_the_algorithm_changes():
    heavy, sam, plain = (
        sd.GD(lr=0.1, momentum=0.9),
        sd.SAM(lr=0.1, rho=0.1, momentum=0.5),
        sd.GD(lr=0.1),
    )
    state = ours(heavy, net(), classes(), 3)
    assert torch.equal(carried(state, heavy, sam, reset=False).z[1], state.z[1])
    assert not carried(state, heavy, sam, reset=True).z[1].any()
    bare = carried(state, heavy, plain, reset=False)
    assert len(bare.z) == 1
    assert not carried(bare, plain, heavy, reset=False).z[1].any()


def test_single_precision_stays_single():
    state = ours(
        sd.SAM(lr=0.1, rho=0.1, momentum=0.9), net(torch.float32), classes(dtype=torch.float32), 2
    )
    assert {z.dtype for z in state.z} == {torch.float32}
