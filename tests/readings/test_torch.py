"""The torch reading: against torch's own optimiser, a SAM written out, and the NumPy reading."""

from itertools import islice

import numpy as np
import pytest

import samdyn as sd
from samdyn import words

torch = pytest.importorskip("torch")
reading = pytest.importorskip("samdyn.readings.torch")

STEPS = 50
START = (0.7, -0.4, 1.1)
LOSS = sd.Loss("log(1 + exp(x*y)) + (x - y*z)**2 + 0.3*z**4 - cos(x)")


def value(w):
    x, y, z = w
    return torch.log(1 + torch.exp(x * y)) + (x - y * z) ** 2 + 0.3 * z**4 - torch.cos(x)


def gradient(w):
    with torch.enable_grad():
        w = w.detach().requires_grad_()
        return torch.autograd.grad(value(w), w)[0]


def trajectory(algorithm):
    w = torch.tensor(START, dtype=torch.float64)
    return [z[0].numpy() for z in islice(reading.iterate(algorithm, gradient, w), STEPS + 1)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.05},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    ],
    ids=str,
)
def test_gd_equals_torch_sgd(options):
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.02, **options)
    expected = [w.detach().clone().numpy()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        value(w).backward()
        optimizer.step()
        expected.append(w.detach().clone().numpy())
    found = trajectory(sd.GD(lr=0.02, **options))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "weight_decay": 0.05}], ids=str)
def test_sam_equals_two_backward_passes_around_sgd(options):
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.02, **options)
    expected = [w.detach().clone().numpy()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        value(w).backward()
        with torch.no_grad():
            ascent = 0.1 * w.grad / w.grad.norm()
            w.add_(ascent)
        optimizer.zero_grad()
        value(w).backward()
        with torch.no_grad():
            w.sub_(ascent)
        optimizer.step()
        expected.append(w.detach().clone().numpy())
    found = trajectory(sd.SAM(lr=0.02, rho=0.1, **options))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "algorithm",
    [
        sd.GD(lr=0.02, momentum=0.9),
        sd.SAM(lr=0.02, rho=0.1, momentum=0.9, weight_decay=0.05),
        sd.SAM(lr=0.02, rho=0.1, ascent_steps=3),
        sd.USAM(lr=0.02, rho=0.1),
        sd.ASAM(lr=0.02, rho=0.1),
        sd.Lookahead(sd.SAM(lr=0.02, rho=0.1), k=3),
    ],
    ids=lambda algorithm: repr(algorithm)[:60],
)
def test_torch_equals_numpy_at_every_step(algorithm):
    system = sd.Map(LOSS, algorithm)
    z = reading.start(algorithm, torch.tensor(START, dtype=torch.float64))
    for _ in range(STEPS):
        moved = reading.step(algorithm, gradient, z)
        scalars = [float(x) for vector in z for x in vector]
        expected = system.program(*scalars, *system.numbers.values())
        np.testing.assert_allclose(torch.cat(moved).numpy(), expected, rtol=1e-14, atol=1e-14)
        z = moved


def test_sam_stays_put_at_a_critical_point():
    zero = torch.zeros(3, dtype=torch.float64)
    z = reading.step(sd.SAM(lr=0.1, rho=1.0), lambda w: 2.0 * w, (zero,))
    assert torch.equal(z[0], zero)


def test_single_precision_stays_single():
    w = torch.tensor(START, dtype=torch.float32)
    z = reading.step(sd.SAM(lr=0.1, rho=1.0), gradient, (w,))
    assert z[0].dtype == torch.float32


def test_every_word_reads_tensors():
    x = torch.tensor([0.3, 0.6], dtype=torch.float64)
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin",
                 "arccos", "arctan", "absolute", "sign"):  # fmt: skip
        word = getattr(words, name)
        np.testing.assert_allclose(word(x).numpy(), word(x.numpy()), rtol=1e-15)
    np.testing.assert_allclose(words.power(x, 1.5).numpy(), x.numpy() ** 1.5, rtol=1e-15)
    np.testing.assert_allclose(words.maximum(x, 0.5).numpy(), [0.5, 0.6])
    np.testing.assert_allclose(float(words.norm(x)), np.hypot(0.3, 0.6))


def test_an_array_of_numbers_is_refused():
    w = torch.zeros(3)
    with pytest.raises(ValueError, match="lr must be one number for torch, got an array of 2"):
        reading.step(sd.GD(lr=[0.1, 0.2]), gradient, (w,))
