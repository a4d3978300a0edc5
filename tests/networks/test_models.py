import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.func import functional_call, grad, vmap  # noqa: E402

from samdyn.networks import models  # noqa: E402
from samdyn.networks.models.layers import Convolution, group_norm  # noqa: E402
from samdyn.networks.problem import Problem, Samples  # noqa: E402

TINY = {
    "mlp": lambda norm: models.mlp(3 * 32 * 32, 7, 10),
    "cnn": lambda norm: models.cnn((4, 6), inputs=3, size=32, norm=norm),
    "resnet18": lambda norm: models.resnet18(norm=norm, width=4),
    "wide_resnet": lambda norm: models.wide_resnet(10, 1, norm=norm),
    "vgg": lambda norm: models.vgg(11, norm=norm, width=4),
}


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.fixture
def images():
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize(
    ("make", "published"),
    [
        (lambda: models.resnet18(10), 11_173_962),
        (lambda: models.resnet18(100), 11_220_132),
        (lambda: models.wide_resnet(16, 8), 10_961_370),
        (lambda: models.wide_resnet(16, 4), 2_748_890),
        (lambda: models.wide_resnet(28, 10), 36_479_194),
        (lambda: models.wide_resnet(28, 10, classes=100), 36_536_884),
    ],
)
def test_residual_networks_have_the_published_number_of_weights(make, published):
    with torch.device("meta"):
        assert count(make()) == published


@pytest.mark.parametrize(
    ("depth", "published"), [(11, 9_231_114), (13, 9_416_010), (16, 14_728_266), (19, 20_040_522)]
)
def test_vgg_has_the_published_weights_but_for_the_biases_that_batch_norm_takes_out(
    depth, published
):
    with torch.device("meta"):
        model, plain = models.vgg(depth), models.vgg(depth, norm=None)
    biases = sum(m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d))
    assert count(model) + biases == published  # the published networks keep those
    assert count(plain) + 2 * biases == published  # scale and shift of the norm
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == depth - 2


def test_small_networks_have_the_weights_that_one_counts_by_hand():
    assert count(models.mlp(64, 64, 10)) == 64 * 64 + 64 + 64 * 10 + 10
    assert count(models.mlp(64, 32, 10, bias=False)) == 64 * 32 + 32 * 10
    assert count(models.cnn()) == (9 + 1) * 8 + (8 * 9 + 1) * 16 + (16 * 4 + 1) * 10
    assert count(models.cnn(norm="group")) == 9 * 8 + 16 + 8 * 9 * 16 + 32 + 650


@pytest.mark.parametrize("norm", [None, "group", "batch"])
@pytest.mark.parametrize("name", TINY)
def test_every_weight_takes_part(name, norm, images):
    model = models.initialised(TINY[name](norm).double(), seed=0)
    out = model(images)
    assert out.shape == (6, 10)
    nn.functional.cross_entropy(out, torch.arange(6)).backward()
    for where, p in model.named_parameters():
        assert p.grad is not None, where
        assert p.grad.abs().max() > 1e-12, where  # a bias under batch norm would have 1e-17


@pytest.mark.parametrize(("name", "side"), [("resnet18", 4), ("wide_resnet", 8), ("vgg", 1)])
def test_the_last_maps_have_the_size_of_the_papers(name, side, images):
    model = TINY[name]("group").double()
    seen = []
    pool = next(m for m in model.modules() if isinstance(m, nn.AdaptiveAvgPool2d))
    pool.register_forward_hook(lambda module, given, out: seen.append(given[0].shape[-2:]))
    model(images)
    assert seen == [(side, side)]


def test_a_wide_resnet_is_what_the_paper_draws(images):
    """Written out with torch's functions: BN, relu, conv, BN, relu, conv; then the sum."""
    model = models.initialised(models.wide_resnet(10, 1).double(), seed=1)
    weights = iter(model.parameters())

    def conv(x, stride=1):
        weight = next(weights)
        return nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def active(x):
        scale, shift = next(weights), next(weights)
        return nn.functional.batch_norm(x, None, None, scale, shift, training=True).relu()

    x = conv(images)
    for stage in range(3):
        stride = 2 if stage else 1
        before = active(x)
        inner = conv(active(conv(before, stride)))
        x = inner + (conv(before, stride) if stage else x)
    x = active(x).mean((2, 3))
    expected = x @ next(weights).T + next(weights)
    torch.testing.assert_close(model(images), expected, rtol=1e-10, atol=1e-12)


def test_resnet_18_is_what_the_paper_draws(images):
    """Conv, BN, relu, conv, BN; the sum; relu."""
    model = models.initialised(models.resnet18(width=4).double(), seed=1)
    weights = iter(model.parameters())

    def conv_norm(x, stride=1):
        weight = next(weights)
        x = nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        scale, shift = next(weights), next(weights)
        return nn.functional.batch_norm(x, None, None, scale, shift, training=True)

    x = conv_norm(images).relu()
    for stage in range(4):
        for block in range(2):
            down = stage > 0 and block == 0
            inner = conv_norm(conv_norm(x, 2 if down else 1).relu())
            x = (inner + (conv_norm(x, 2) if down else x)).relu()
    expected = x.mean((2, 3)) @ next(weights).T + next(weights)
    torch.testing.assert_close(model(images), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_gradients_of_samples_by_vmap_equal_a_loop(name, images):
    model = models.initialised(TINY[name]("group").double(), seed=0)
    weights = {key: p.detach() for key, p in model.named_parameters()}

    def loss(weights, image, label):
        out = functional_call(model, weights, (image[None],))
        return nn.functional.cross_entropy(out, label[None])

    labels = torch.arange(6)
    together = vmap(grad(loss), in_dims=(None, 0, 0))(weights, images, labels)
    for k in (0, 5):
        alone = grad(loss)(weights, images[k], labels[k])
        for key, value in alone.items():
            torch.testing.assert_close(together[key][k], value, rtol=1e-9, atol=1e-11)


def test_curvature_goes_through_a_residual_network(images):
    model = models.initialised(models.wide_resnet(10, 1).double(), seed=0)
    problem = Problem(model, Samples(images[:2], torch.tensor([0, 1])))
    w, h = problem.start(), 1e-5
    v = torch.randn(w.shape, generator=torch.Generator().manual_seed(0), dtype=w.dtype)
    v /= v.norm()
    slope = (problem.grad(w + h * v) - problem.grad(w - h * v)) / (2 * h)
    assert torch.dot(slope, v) == pytest.approx(float(torch.dot(problem.hvp(w, v), v)), rel=1e-3)


def test_a_perceptron_is_matrices_and_activations():
    model = models.initialised(models.mlp(4, 5, 3, 2, activation="tanh").double(), seed=3)
    x = np.random.default_rng(0).normal(size=(7, 4))
    (a, b), (c, d), (e, f) = [
        (m.weight.detach().numpy(), m.bias.detach().numpy())
        for m in model
        if isinstance(m, nn.Linear)
    ]
    expected = np.tanh(np.tanh(x @ a.T + b) @ c.T + d) @ e.T + f
    np.testing.assert_allclose(model(torch.from_numpy(x)).detach(), expected, rtol=1e-12)


def test_activations_are_names_or_modules():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    linear = models.mlp(3, 4, 2, activation="linear", bias=False)
    torch.testing.assert_close(linear(2 * x), 2 * linear(x))
    for activation in ("relu", "gelu", "silu", "elu", "softplus", "sigmoid", nn.Mish):
        model = models.mlp(3, 4, 2, activation=activation)
        assert not torch.allclose(model(2 * x) - model(0 * x), 2 * (model(x) - model(0 * x)))
    with pytest.raises(ValueError, match="activation must be one of relu, tanh, .* 'reul'"):
        models.mlp(3, 2, activation="reul")


def test_images_are_laid_out_for_a_perceptron_and_stay_images_for_a_cnn():
    x = torch.rand(5, 1, 8, 8)
    model = models.mlp(64, 10)
    torch.testing.assert_close(model(x), model(x.reshape(5, 64)))
    assert models.cnn()(x).shape == (5, 10)
    assert models.cnn((2, 2, 2))(x).shape == (5, 10)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (2, 1), (6, 1), (8, 4), (64, 32)])
def test_group_norm_leaves_two_channels_to_a_group(channels, groups):
    assert group_norm(channels).num_groups == groups


def test_a_norm_may_be_given_as_what_makes_it():
    model = models.resnet18(norm=lambda channels: nn.GroupNorm(1, channels), width=4)
    norms = [m for m in model.modules() if isinstance(m, nn.GroupNorm)]
    assert len(norms) == 20
    assert {m.num_groups for m in norms} == {1}


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.resnet18(norm=None, width=8),
        lambda: models.wide_resnet(28, 1, norm=None),
        lambda: models.vgg(16, norm=None, width=8),
    ],
)
def test_signals_neither_die_nor_explode_without_normalisation(make, images):
    model = models.initialised(make().double(), seed=0)
    pool = next(m for m in model.modules() if isinstance(m, nn.AdaptiveAvgPool2d))
    seen = []
    pool.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    model(images)
    assert 0.1 < (seen[0] ** 2).mean() < 10  # torch's own initial weights: below 1e-3


def test_initial_weights_come_from_the_seed_alone():
    model = models.cnn(norm="batch")
    torch.manual_seed(5)
    before, first = torch.random.get_rng_state(), models.initialised(model, 0)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    again, other = models.initialised(models.cnn(norm="batch"), 0), models.initialised(model, 1)
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert not torch.equal(first[0].weight, other[0].weight)
    assert not torch.equal(first[0].weight, model[0].weight)


def test_initial_weights_are_the_same_in_every_precision_and_scale():
    model = models.mlp(6, 5, 4)
    single = models.initialised(model, 2)
    double = models.initialised(models.mlp(6, 5, 4).double(), 2)
    small = models.initialised(model, 2, scale=0.1)
    for p, q, r in zip(single.parameters(), double.parameters(), small.parameters(), strict=True):
        assert (p.dtype, q.dtype) == (torch.float32, torch.float64)
        assert torch.equal(p, q.float())
        torch.testing.assert_close(r, 0.1 * p)


def test_running_statistics_start_anew_and_frozen_weights_stay_frozen():
    model = models.cnn(norm="batch")
    model(torch.rand(9, 1, 8, 8))
    model[0].weight.requires_grad_(False)
    fresh = models.initialised(model, 0)
    assert torch.equal(fresh[1].running_mean, torch.zeros(8))
    assert int(fresh[1].num_batches_tracked) == 0
    assert int(model[1].num_batches_tracked) == 1
    assert not fresh[0].weight.requires_grad


def test_weights_have_the_spread_that_is_stated():
    wide = models.initialised(Convolution(64, 256, gain=0.5), 0).weight.detach()
    assert wide.std() == pytest.approx(0.5 * (2 / (64 * 9)) ** 0.5, rel=0.01)
    linear = models.initialised(models.mlp(300, 300), 0)[1].weight.detach()
    assert linear.var() == pytest.approx(1 / (3 * 300), rel=0.02)


def test_an_outer_module_has_the_last_word_on_its_weights():
    class Zeroed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def reset_parameters(self):
            nn.init.zeros_(self.inner.weight)

    fresh = models.initialised(nn.Sequential(Zeroed()), 0)
    assert fresh[0].inner.weight.abs().max() == 0
    assert fresh[0].inner.bias.abs().max() > 0


def test_a_module_that_cannot_start_anew_is_refused():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

    model = nn.Sequential(nn.Linear(3, 3), Bare())
    before = torch.random.get_rng_state()
    with pytest.raises(ValueError, match=r"1 \(Bare\) has weights and no reset_parameters\(\)"):
        models.initialised(model, 0)
    assert torch.equal(before, torch.random.get_rng_state())
    with pytest.raises(ValueError, match="the model itself"):
        models.initialised(Bare(), 0)


def test_products_compute_what_they_say():
    model = models.diagonal_linear(3, start=(2.0, 0.5)).double()
    x = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64)
    assert model(x).tolist() == [[7.0]]
    assert [p.tolist() for p in models.diagonal_linear(2).double().parameters()] == [
        pytest.approx([0.1, 0.1]),
        [0.0, 0.0],
    ]
    exact = models.initialised(models.diagonal_linear(2).double(), seed=4)
    assert exact.u.tolist() == [0.1, 0.1]  # in double precision

    model = models.initialised(models.matrix_factorization(4, 3, 2, scale=0.5).double(), 0)
    x = torch.rand(5, 3, dtype=torch.float64)
    left, right = (p.detach().numpy() for p in model.parameters())
    np.testing.assert_allclose(model(x).detach(), x.numpy() @ (left @ right.T).T, rtol=1e-12)
    wide = models.initialised(models.matrix_factorization(200, 200, 5, scale=0.01), 0)
    assert wide.left.detach().std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: models.mlp(3), "widths must be at least two"),
        (lambda: models.mlp(3, 0), "widths must be a whole number >= 1, got 0"),
        (lambda: models.cnn(()), "channels must have at least one stage"),
        (lambda: models.cnn((2, 2, 2, 2)), "halve size 8 to 1"),
        (lambda: models.cnn(norm="layer"), "norm must be None, one of batch, group"),
        (lambda: models.vgg(12), "depth must be one of 11, 13, 16, 19, got 12"),
        (lambda: models.wide_resnet(18), r"depth must be 6\*n \+ 4, such as 10, 16"),
        (lambda: models.wide_resnet(16, 0), "factor must be a whole number >= 1"),
        (lambda: models.resnet18(norm=3), "norm must be None"),
        (lambda: models.diagonal_linear(2, (1, 2, 3)), "start must be one number or two"),
        (lambda: models.matrix_factorization(scale=0), "scale must be above 0"),
        (lambda: models.initialised(nn.Linear(1, 1), -1), "seed must be a whole number >= 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
