"""Adversarial training: attacks against closed forms and plain loops, and how it composes."""

import math

import numpy as np
import pytest
import xarray as xr

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import samdyn as sd  # noqa: E402
from samdyn.networks.adversarial import Adversarial  # noqa: E402
from samdyn.networks.data.data import Data  # noqa: E402
from samdyn.networks.order import Batch, Order, noise  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402
from samdyn.networks.robustness import attacked, robust_error  # noqa: E402
from samdyn.networks.stepping import draws, noisy, started, step  # noqa: E402
from samdyn.networks.training import train  # noqa: E402
from samdyn.networks.workbench import Workbench  # noqa: E402

GD = sd.GD(lr=0.1, momentum=0.9)
SAM = sd.SAM(lr=0.1, rho=0.05, momentum=0.9)
EPSILON, LR, STEPS = 0.1, 0.03, 7


def drawn(n, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(n, *shape, generator=generator, dtype=torch.float64)
    return Samples(inputs, torch.randint(3, (n,), generator=generator))


def net(*between):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = nn.Linear(5, 6), *between, nn.Tanh(), nn.Linear(6, 3)
        return nn.Sequential(*layers).double()


def normed():
    return net(nn.BatchNorm1d(6, dtype=torch.float64))


def plain_attack(model, x, y, start, steps=STEPS, norm=math.inf, bounds=None):
    """Madry et al.'s attack, written down once more."""
    low, high = bounds or (-math.inf, math.inf)
    each = (
        []
        if start is None
        else [EPSILON * start / (1 if norm == math.inf else x[0].numel() ** 0.5)]
    )
    moved = (x + sum(each)).clamp(low, high)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        functional.cross_entropy(model(moved), y, reduction="sum").backward()
        g = moved.grad
        if norm == math.inf:
            far = (moved + LR * g.sign()).detach() - x
            far = far.clamp(-EPSILON, EPSILON)
        else:
            far = torch.stack(
                [
                    one + LR * slope / slope.norm()
                    for one, slope in zip((moved - x).detach(), g, strict=True)
                ]
            )
            far = torch.stack([d if d.norm() <= EPSILON else EPSILON * d / d.norm() for d in far])
        moved = (x + far).clamp(low, high)
    for p in model.parameters():
        p.grad = None
    return moved.detach()


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("norm", [math.inf, 2])
def test_the_attack_equals_a_plain_loop(norm, random_start, bounds):
    model, samples = net(), drawn(20, 5)
    problem = Problem(model, samples, chunk=8)
    options = {"norm": norm, "random_start": random_start, "bounds": bounds, "seed": 4}
    found = attacked(
        problem, problem.start(), epsilon=EPSILON, attack_lr=LR, attack_steps=STEPS, **options
    )
    start = noise(samples.inputs, 4) if random_start else None
    expected = plain_attack(model, *samples, start, norm=norm, bounds=bounds)
    torch.testing.assert_close(found.inputs, expected, rtol=0, atol=1e-12)
    moved = (found.inputs - samples.inputs).norm(p=norm, dim=1)
    assert moved.max() <= EPSILON * (1 + 1e-12)
    assert moved.min() > 0.5 * EPSILON or bounds
    if bounds:
        assert found.inputs.min() == 0
        assert found.inputs.max() == 1


def line(weights):
    model = nn.Linear(weights.shape[1], len(weights), bias=False).double()
    return model, weights.reshape(-1)


@pytest.mark.parametrize("norm", [math.inf, 2])
def test_the_attack_reaches_the_worst_inputs_of_a_linear_classifier(norm):
    """Two classes: the margin falls by epsilon times the dual norm of w_0 - w_1."""
    weights = torch.randn(2, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model, w = line(weights)
    x, y = drawn(300, 8)
    samples = Samples(x, y % 2)
    problem = Problem(model, samples)
    found = attacked(problem, w, epsilon=EPSILON, attack_lr=EPSILON, attack_steps=60, norm=norm)
    across = weights[0] - weights[1]
    dual = across.abs().sum() if norm == math.inf else across.norm()
    margins = (x @ across) * (1 - 2 * samples.targets)
    worst = functional.softplus(-(margins - EPSILON * dual))
    losses = problem.losses(w, found)
    torch.testing.assert_close(losses, worst, rtol=0, atol=1e-12)
    share = (margins < EPSILON * dual).double().mean()
    assert robust_error(problem, w, epsilon=EPSILON, norm=norm, attack_steps=50) == share
    assert (margins < 0).double().mean() < share < 1


def test_the_attack_reaches_the_worst_inputs_of_linear_regression():
    """The worst squared residual within epsilon is (abs(r) + epsilon sum abs(w))^2."""
    weights = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    model, w = line(weights)
    x, _ = drawn(12, 3)
    samples = Samples(x, 0.3 * x[:, 0])
    problem = Problem(model, samples, "mse")
    found = attacked(problem, w, epsilon=EPSILON, random_start=False)
    worst = ((x @ weights[0] - samples.targets).abs() + EPSILON * 3.5) ** 2
    torch.testing.assert_close(problem.losses(w, found), worst, rtol=1e-13, atol=0)


def test_an_image_is_attacked_as_a_whole():
    model = nn.Sequential(nn.Flatten(), net()[0], nn.Tanh(), nn.Linear(6, 3).double())
    flat = drawn(6, 5)
    image = Samples(flat.inputs.reshape(6, 1, 5, 1), flat.targets)
    for norm in (math.inf, 2):
        problem = Problem(model, image)
        one = attacked(problem, problem.start(), epsilon=EPSILON, norm=norm)
        other = attacked(problem, problem.start(), flat, epsilon=EPSILON, norm=norm)
        assert one.inputs.shape == (6, 1, 5, 1)
        torch.testing.assert_close(one.inputs.reshape(6, 5), other.inputs, rtol=0, atol=1e-14)


def test_more_restarts_find_more_and_what_is_wrong_stays_wrong():
    problem = Problem(net(), drawn(300, 5, seed=2))
    w = 3 * problem.start()
    right = problem.outputs(w, problem.samples.inputs).argmax(dim=1)
    wrong = torch.arange(300) < 30
    samples = Samples(problem.samples.inputs, torch.where(wrong, (right + 1) % 3, right))
    weak = {"epsilon": 0.1, "attack_lr": 1e-3, "attack_steps": 1}
    few, many = (robust_error(problem.on(samples), w, restarts=k, **weak) for k in (1, 8))
    assert robust_error(problem.on(samples), w, epsilon=0.0) == 0.1
    assert 0.1 < few < many < robust_error(problem.on(samples), w, epsilon=0.1) < 1
    small = Problem(problem.model, samples, chunk=7)
    assert robust_error(small, w, restarts=8, **weak) == many


def plain_training(inner, batches, model):
    """Steps of momentum SGD or SAM on attacked batches, with torch's own optimiser."""
    weights = list(model.parameters())
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    for samples, _, start in batches:
        x = plain_attack(model, samples.inputs, samples.targets, start())
        sgd.zero_grad()
        functional.cross_entropy(model(x), samples.targets).backward()
        if isinstance(inner, sd.SAM):
            length = sum((p.grad**2).sum() for p in weights).sqrt()
            moves = [0.05 * p.grad / length for p in weights]
            with torch.no_grad():
                for p, move in zip(weights, moves, strict=True):
                    p += move
            sgd.zero_grad()
            functional.cross_entropy(model(x), samples.targets).backward()
            with torch.no_grad():
                for p, move in zip(weights, moves, strict=True):
                    p -= move
        sgd.step()
    return torch.cat([p.detach().reshape(-1) for p in weights])


@pytest.mark.parametrize("kind", [Problem, Workbench])
@pytest.mark.parametrize("inner", [GD, SAM], ids=["gd", "sam"])
def test_steps_equal_hand_written_adversarial_training(inner, kind):
    order = Order(drawn(20, 5), batch_size=8, seed=6)
    batches = [order.batch(k) for k in range(4)]
    algorithm = Adversarial(inner, epsilon=EPSILON, attack_lr=LR, attack_steps=STEPS)
    problem = kind(net(), order.samples)
    state = started(algorithm, problem.start(), {})
    for batch in batches:
        state = step(problem, algorithm, algorithm.numbers, state, iter([batch]))
    expected = plain_training(inner, batches, net())
    torch.testing.assert_close(state.w, expected, rtol=0, atol=1e-13)


def test_m_sam_divides_one_attacked_batch():
    order = Order(drawn(20, 5), batch_size=8, seed=6)
    inner = sd.SAM(lr=0.1, rho=0.05, m=2)
    options = {"epsilon": EPSILON, "attack_lr": LR, "attack_steps": STEPS}
    algorithm, batch = Adversarial(inner, **options), order.batch(0)
    problem, w = Workbench(net(), order.samples), Problem(net(), order.samples).start()
    state = started(algorithm, w, {})
    found = step(problem, algorithm, algorithm.numbers, state, iter([batch])).w
    x = plain_attack(net(), *batch.samples, batch.noise())
    given = iter([Batch(Samples(x, batch.samples.targets))])
    expected = step(problem, inner, inner.numbers, started(inner, w, {}), given).w
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_each_fast_step_of_lookahead_has_an_attack_of_its_own():
    order = Order(drawn(20, 5), batch_size=8, seed=6)
    gd, options = sd.GD(lr=0.1), {"epsilon": EPSILON, "attack_lr": LR, "attack_steps": STEPS}
    inside = sd.Lookahead(Adversarial(gd, **options), k=2)
    outside = Adversarial(sd.Lookahead(gd, k=2), **options)
    w = Problem(net(), order.samples).start()
    ends = []
    for one in (inside, outside):
        problem, batches = Workbench(net(), order.samples), map(order.batch, range(2))
        ends.append(step(problem, one, one.numbers, started(one, w, {}), batches).w)
    torch.testing.assert_close(*ends, rtol=0, atol=0)
    assert [draws(inside), draws(outside), draws(Adversarial(SAM, epsilon=0.1))] == [2, 2, 1]
    assert noisy(inside)
    assert noisy(outside)
    assert not noisy(Adversarial(gd, epsilon=0.1, random_start=False))


def test_batch_norm_is_attacked_in_training_mode_and_moved_by_the_step_alone():
    order = Order(drawn(20, 5), batch_size=8, seed=6)
    algorithm = Adversarial(SAM, epsilon=EPSILON, attack_lr=LR, attack_steps=STEPS)
    problem, batch = Workbench(normed(), order.samples), order.batch(0)
    state = started(algorithm, problem.start(), problem.buffers)
    state = step(problem, algorithm, algorithm.numbers, state, iter([batch]))
    model = normed()
    known = {name: b.clone() for name, b in model.named_buffers()}
    x = plain_attack(model, *batch.samples, batch.noise())
    model.load_state_dict({**model.state_dict(), **known})
    model(x)
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(state.buffers[name], buffer, rtol=1e-13, atol=1e-13)
    assert state.buffers["1.num_batches_tracked"] == 1


def test_dropout_is_drawn_once_for_attack_and_step():
    order = Order(drawn(20, 5), batch_size=20, seed=6, masks=True)
    model, batch = net(nn.Dropout(0.5)), order.batch(0)
    problem = Workbench(model, order.samples, chunk=20)
    gd = sd.GD(lr=1.0)
    algorithm = Adversarial(gd, epsilon=EPSILON, attack_lr=LR, attack_steps=STEPS)
    w = problem.start()
    found = step(problem, algorithm, algorithm.numbers, started(algorithm, w, {}), iter([batch])).w

    def masked(x):
        torch.manual_seed(batch.seed)
        return model(x)

    with torch.random.fork_rng():
        masked.parameters = model.parameters
        x = plain_attack(masked, *batch.samples, batch.noise())
        functional.cross_entropy(masked(x), batch.samples.targets).backward()
    g = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    torch.testing.assert_close(found, w - g, rtol=0, atol=1e-13)


DATA = Data(drawn(44, 5), drawn(20, 5, seed=1), "points", 3)  # batches of 16, 16 and 12
LATE = sd.Switch(
    [(0, SAM), (1, Adversarial(SAM, epsilon=EPSILON, attack_steps=3, bounds=(0, 1)))], unit="epoch"
)
EPSILONS = np.array([0.05, 0.2])


def run(algorithm, model=None, **options):
    given = {"epochs": 3, "batch_size": 16, "seed": [1, 7], "progress": False, "together": False}
    return train(model or net(), DATA, algorithm, **{**given, **options})


@pytest.mark.parametrize(
    ("algorithm", "model"),
    [
        (Adversarial(GD, epsilon=EPSILONS, attack_steps=3), None),
        (
            Adversarial(
                SAM, epsilon=0.1, attack_lr=np.array([0.02, 0.1]), attack_steps=3, bounds=(0, 1)
            ),
            None,
        ),
        (Adversarial(sd.SAM(lr=0.1, rho=0.1, m=4), epsilon=EPSILONS, attack_steps=3), None),
        (Adversarial(GD, epsilon=EPSILONS, attack_steps=3, norm=2, random_start=False), None),
        (sd.Lookahead(Adversarial(GD, epsilon=EPSILONS, attack_steps=3), k=2), None),
        (Adversarial(GD, epsilon=EPSILONS, attack_steps=3), "normed"),
        (sd.Switch([(0, SAM), ([0, 1, 3], LATE.phases[1][1])], unit="epoch"), None),
    ],
    ids=["gd", "sam", "m", "norm 2", "lookahead", "batch norm", "late"],
)
def test_networks_trained_together_are_as_if_alone(algorithm, model):
    options = {"model": normed() if model else None, "weights": not model}
    several = run(algorithm, together=True, **options)
    each = run(algorithm, together=False, **options)
    xr.testing.assert_allclose(several, each, rtol=1e-9, atol=1e-9)
    flat = several.final.values.reshape(-1, several.sizes["weight"])
    assert len(np.unique(flat[:, 0])) == len(flat)


def test_an_attack_of_no_reach_leaves_the_algorithm_as_it_is():
    plain, none = run(SAM), run(Adversarial(SAM, epsilon=[0.0]))
    np.testing.assert_allclose(none.final[0], plain.final, rtol=0, atol=1e-13)


@pytest.mark.parametrize("together", [True, False])
def test_a_training_in_parts_is_the_same_bit_for_bit(together, tmp_path):
    options = {"together": together, "model": normed()}
    whole = run(LATE, **options)
    for epochs in (1, 2, 3):
        parts = run(LATE, checkpoint=tmp_path, epochs=epochs, **options)
    xr.testing.assert_identical(parts.drop_attrs(deep=False), whole.drop_attrs(deep=False))
    other = sd.Switch([(0, SAM), (1, Adversarial(SAM, epsilon=EPSILON))], unit="epoch")
    with pytest.raises(ValueError, match="is of another run"):
        run(other, checkpoint=tmp_path, **options)


def test_it_makes_networks_robust_as_a_measure_on_the_test_set_says():
    """One strong input that is wrong for a tenth, four weak ones that are right but in reach."""
    sign = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(20)
    strong = torch.where(torch.arange(40) < 4, -0.5, 0.5) * sign
    samples = Samples(torch.stack([strong, *[0.05 * sign] * 4], dim=1), (sign > 0).long())
    data = Data(samples, samples, "strong and weak", 2)

    def on_test(problem, w):
        return robust_error(problem.on(data.test), w, epsilon=0.1, restarts=2)

    options = {"epochs": 200, "batch_size": 40, "seed": [0, 1], "progress": False, "every": 200,
               "together": False, "track": {"robust": on_test}, "record": 200}  # fmt: skip
    gd, linear = sd.GD(lr=20.0), nn.Linear(5, 2).double()
    plain = train(linear, data, gd, **options)
    robust = train(linear, data, Adversarial(gd, epsilon=0.1, attack_steps=2), **options)
    assert (plain.test_error[:, -1] == 0).all()
    assert (plain.robust[:, -1] > 0.9).all()
    np.testing.assert_allclose(robust.robust[:, -1], 0.1)
    np.testing.assert_allclose(robust.test_error[:, -1], 0.1)


def test_the_start_is_the_same_in_every_precision():
    x = torch.zeros(4, 5)
    torch.testing.assert_close(noise(x, 1, 2).double(), noise(x.double(), 1, 2), rtol=0, atol=1e-7)
    assert noise(x, 1, 2).abs().max() <= 1
    assert not torch.equal(noise(x, 1, 2), noise(x, 1, 3))


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ({"epsilon": -0.1}, ValueError, "epsilon must be at least 0, got -0.1"),
        ({"epsilon": "big"}, TypeError, "epsilon must be a number"),
        ({"attack_lr": math.nan}, ValueError, "attack_lr must be finite"),
        ({"attack_steps": 0}, ValueError, "attack_steps must be a whole number >= 1, got 0"),
        ({"norm": 1}, ValueError, "norm must be math.inf or 2, got 1"),
        ({"bounds": (1, 0)}, ValueError, r"bounds must be \(low, high\) with low < high"),
        ({"random_start": 1}, TypeError, "random_start must be True or False, got 1"),
        ({"algorithm": "GD"}, TypeError, "algorithm must be an algorithm, got 'GD'"),
        (
            {"algorithm": Adversarial(GD, epsilon=0.1)},
            ValueError,
            "algorithm has a number named epsilon already",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(given, error, sentence):
    with pytest.raises(error, match=sentence):
        Adversarial(**{"algorithm": GD, "epsilon": 0.1, **given})


def test_inputs_that_cannot_be_attacked_are_refused():
    problem = Problem(net(), drawn(4, 5))
    w = problem.start()
    with pytest.raises(ValueError, match=r"bounds must contain all inputs, .*got \(0.2, 0.5\)"):
        attacked(problem, w, epsilon=0.1, bounds=(0.2, 0.5))
    with pytest.raises(TypeError, match="inputs must be floating-point to be attacked"):
        Adversarial(GD, epsilon=0.1).check(Samples(torch.arange(3), torch.arange(3)))
    with pytest.raises(TypeError, match="epsilon must be one number here, got an array"):
        robust_error(problem, w, epsilon=[0.1, 0.2])
    with pytest.raises(TypeError, match="targets must be classes"):
        robust_error(Problem(net(), Samples(torch.zeros(2, 5).double(), torch.zeros(2, 3))), w,
                     epsilon=0.1)  # fmt: skip


def test_what_an_attack_cannot_go_with_is_refused():
    with pytest.raises(TypeError, match="Adversarial attacks the inputs of a network"):
        sd.Map(sd.losses.beale(), Adversarial(GD, epsilon=0.1)).apply([1.0, 1.0], steps=1)
    with pytest.raises(TypeError, match="such as DNSAM, cannot be adversarial"):
        run(Adversarial(sd.DNSAM(lr=0.1, rho=0.1), epsilon=0.1), seed=1)
    with pytest.raises(ValueError, match="rho is no number of Adversarial"):
        Adversarial(GD, epsilon=0.1).replace(rho=0.1)


def test_it_prints_what_was_given():
    said = repr(Adversarial(GD, epsilon=0.1, norm=2, bounds=(0, 1)))
    assert said == "Adversarial(GD(lr=0.1, momentum=0.9), epsilon=0.1, norm=2.0, bounds=(0.0, 1.0))"
    assert Adversarial(SAM, epsilon=0.1).title == "Adversarial SAM"
    changed = Adversarial(SAM, epsilon=0.1).replace(epsilon=0.2, rho=0.3)
    assert (changed.numbers["epsilon"], changed.numbers["rho"]) == (0.2, 0.3)
