"""Minibatches: how often samples are drawn, and what a step makes of them.

The steps are held against loops in plain NumPy that take from the system the rows it has drawn and
nothing else. Statistical tests draw the same numbers each time; the least p-value is 1e-4.
"""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

import samdyn as sd
from samdyn.random import keys, normals
from samdyn.systems.sampling import Batch, Sampling

LEAST = 1e-4
RNG = np.random.default_rng(11)
N = 7
TABLE = RNG.normal(size=(N, 3))
LOSS = sd.Loss(
    "(a*x + c*y - b)**2/2 + a*x**4/8", "x y", data=dict(zip("acb", TABLE.T, strict=True))
)
W0 = RNG.normal(size=(3, 2))
SEED, STEPS = 5, 8
LR, RHO, BETA, DECAY = 0.05, 0.3, 0.7, 0.2


def slope(w, rows):
    """The gradient at w averaged over rows of the table, sample by sample."""
    total = np.zeros(2)
    for a, c, b in TABLE[rows]:
        rest = a * w[0] + c * w[1] - b
        total += [rest * a + a * w[0] ** 3 / 2, rest * c]
    return total / len(rows)


def drawn(system, place, step, size):
    """The rows of each of a step's batches, of the particle at a place."""
    batches = system.minibatches.batches(keys(SEED, [place]), step, size)
    return [list(batch.rows[: int(batch.size[0]), 0]) for batch in batches]


def unit(g):
    return g / np.sqrt(g @ g)


def sam(w, rows):
    return slope(w + RHO * unit(slope(w, rows)), rows)


def parts(rows, m):
    return [rows[k : k + m] for k in range(0, len(rows), m)]


def m_sam(w, rows, m):
    return sum(len(part) * sam(w, part) for part in parts(rows, m)) / len(rows)


def asam(w, rows, eta=0.01):
    size = abs(w) + eta
    return slope(w + RHO * size * unit(size * slope(w, rows)), rows)


def dnsam(w, rows):
    everybody = slope(w, range(N))
    return slope(w + RHO * slope(w, rows) / np.sqrt(everybody @ everybody), rows)


def several(w, first, *others):
    p = w
    for rows in (first, *others):
        p = p + RHO / (1 + len(others)) * unit(slope(p, rows))
    return p


def momentum(gradient):
    def step(w, velocity, batches):
        velocity = BETA * velocity + gradient(w, *batches)
        return w - LR * velocity, velocity

    return step


def plain(gradient):
    return lambda w, velocity, batches: (w - LR * gradient(w, *batches), velocity)


def cycle(k, per_step, gradient):
    """Lookahead by hand: each fast step has batches of its own."""

    def step(w, velocity, batches):
        fast = w
        for i in range(k):
            fast = fast - LR * gradient(fast, *batches[i * per_step : (i + 1) * per_step])
        return w + 0.4 * (fast - w), velocity

    return step


def fresh_sam(w, up, down):
    return slope(w + RHO * unit(slope(w, up)), down)


CASES = {
    "GD": (sd.GD(lr=LR), False, 1, plain(slope)),
    "GD, fresh": (sd.GD(lr=LR), True, 1, plain(slope)),
    "momentum": (sd.GD(lr=LR, momentum=BETA), False, 1, momentum(slope)),
    "SAM": (sd.SAM(lr=LR, rho=RHO), False, 1, plain(sam)),
    "SAM, fresh": (sd.SAM(lr=LR, rho=RHO), True, 2, plain(fresh_sam)),
    "SAM, momentum": (sd.SAM(lr=LR, rho=RHO, momentum=BETA), False, 1, momentum(sam)),
    "USAM": (
        *(sd.USAM(lr=LR, rho=RHO), False, 1),
        plain(lambda w, rows: slope(w + RHO * slope(w, rows), rows)),
    ),
    "decay": (
        *(sd.SAM(lr=LR, rho=RHO, weight_decay=DECAY), False, 1),
        plain(lambda w, rows: sam(w, rows) + DECAY * w),
    ),
    "decay in the ascent": (
        *(sd.SAM(lr=LR, rho=RHO, weight_decay=DECAY, decay_in_ascent=True), False, 1),
        plain(
            lambda w, rows: slope(p := w + RHO * unit(slope(w, rows) + DECAY * w), rows) + DECAY * p
        ),
    ),
    "three ascents": (
        *(sd.SAM(lr=LR, rho=RHO, ascent_steps=3), False, 1),
        plain(lambda w, rows: slope(several(w, rows, rows, rows), rows)),
    ),
    "three ascents, fresh": (
        *(sd.SAM(lr=LR, rho=RHO, ascent_steps=3), True, 4),
        plain(lambda w, *batches: slope(several(w, *batches[:3]), batches[3])),
    ),
    "ASAM": (sd.ASAM(lr=LR, rho=RHO), False, 1, plain(asam)),
    "DNSAM": (sd.DNSAM(lr=LR, rho=RHO), False, 1, plain(dnsam)),
    "1-SAM": (
        *(sd.SAM(lr=LR, rho=RHO, m=1), False, 1),
        plain(lambda w, rows: np.mean([sam(w, [row]) for row in rows], axis=0)),
    ),
    "2-SAM": (sd.SAM(lr=LR, rho=RHO, m=2), False, 1, plain(lambda w, rows: m_sam(w, rows, 2))),
    "3-SAM, decay": (
        *(sd.SAM(lr=LR, rho=RHO, m=3, weight_decay=DECAY, momentum=BETA), False, 1),
        momentum(lambda w, rows: m_sam(w, rows, 3) + DECAY * w),
    ),
    "2-DNSAM": (
        *(sd.DNSAM(lr=LR, rho=RHO, m=2), False, 1),
        plain(lambda w, rows: sum(len(p) * dnsam(w, p) for p in parts(rows, 2)) / len(rows)),
    ),
    "2-ASAM": (
        *(sd.ASAM(lr=LR, rho=RHO, m=2), False, 1),
        plain(lambda w, rows: sum(len(p) * asam(w, p) for p in parts(rows, 2)) / len(rows)),
    ),
    "Lookahead": (
        *(sd.Lookahead(sd.SAM(lr=LR, rho=RHO), k=3, alpha=0.4), False, 3),
        cycle(3, 1, sam),
    ),
    "Lookahead, fresh": (
        *(sd.Lookahead(sd.SAM(lr=LR, rho=RHO), k=2, alpha=0.4), True, 4),
        cycle(2, 2, fresh_sam),
    ),
    "Lookahead, 2-SAM": (
        *(sd.Lookahead(sd.SAM(lr=LR, rho=RHO, m=2), k=2, alpha=0.4), False, 2),
        cycle(2, 1, lambda w, rows: m_sam(w, rows, 2)),
    ),
}


def by_hand(system, move, size):
    ends = []
    for place, w in enumerate(W0):
        velocity = np.zeros(2)
        for step in range(STEPS):
            w, velocity = move(w, velocity, drawn(system, place, step, size))
        ends.append(w)
    return np.array(ends)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("sampling", "size"), [("replacement", 5), ("subset", 5), ("epochs", 4)])
def test_steps_are_those_of_a_plain_loop(case, sampling, size):
    """Epochs of 7 in batches of 4 end with a batch of 3."""
    algorithm, fresh, draws, move = CASES[case]
    system = sd.Map(LOSS, algorithm, batch_size=size, sampling=sampling, fresh_noise=fresh)
    assert system.minibatches.draws == draws
    assert system.noise == ()
    assert system.random
    np.testing.assert_allclose(
        system.apply(W0, STEPS, seed=SEED), by_hand(system, move, size), rtol=1e-12
    )


def test_samples_matter():
    """The test above can fail: each of these differs from its neighbour."""
    algorithms = [sd.SAM(lr=LR, rho=RHO, m=m) for m in (None, 1, 2, 3)]
    ends = [sd.Map(LOSS, one, batch_size=5).apply(W0, STEPS, SEED) for one in algorithms]
    ends.append(sd.Map(LOSS, algorithms[0], batch_size=5, fresh_noise=True).apply(W0, STEPS, SEED))
    ends.append(sd.Map(LOSS, sd.DNSAM(lr=LR, rho=RHO), batch_size=5).apply(W0, STEPS, SEED))
    for a, b in combinations(ends, 2):
        assert abs(a - b).min() > 1e-8


@pytest.mark.parametrize("sampling", ["subset", "epochs", "replacement"])
def test_parts_as_large_as_the_batch_are_the_batch(sampling):
    for m in (5, 6, 100):
        whole, parted = (
            sd.Map(LOSS, sd.SAM(lr=LR, rho=RHO, m=size), batch_size=5, sampling=sampling)
            for size in (None, m)
        )
        np.testing.assert_allclose(
            parted.apply(W0, STEPS, SEED), whole.apply(W0, STEPS, SEED), rtol=1e-12
        )


@pytest.mark.parametrize("sampling", ["subset", "epochs"])
@pytest.mark.parametrize("algorithm", [sd.GD(lr=LR, momentum=BETA), sd.SAM(lr=LR, rho=RHO)])
def test_a_batch_of_everybody_is_the_full_batch(algorithm, sampling):
    system = sd.Map(LOSS, algorithm, batch_size=N, sampling=sampling)
    np.testing.assert_allclose(
        system.apply(W0, STEPS), sd.Map(LOSS, algorithm).apply(W0, STEPS), rtol=1e-11
    )
    np.testing.assert_allclose(system.mean.apply(W0, 3), sd.Map(LOSS, algorithm).apply(W0, 3))


def test_a_batch_of_everybody_is_no_full_batch_with_replacement():
    ends = [sd.Map(LOSS, sd.GD(lr=LR), batch_size=b).apply(W0, STEPS) for b in (N, None)]
    assert abs(ends[0] - ends[1]).min() > 1e-6


@pytest.mark.parametrize("sampling", ["replacement", "subset", "epochs"])
def test_a_sweep_of_batch_sizes_draws_what_each_of_them_draws(sampling):
    sizes = np.array([1, 4, 7, 2, 3])
    swept = sd.Map(LOSS, sd.SAM(lr=LR, rho=RHO, m=2), batch_size=sizes, sampling=sampling)
    w = np.broadcast_to(W0[0], (5, 2))
    ends = swept.apply(w, STEPS, SEED)
    for place, size in enumerate(sizes):
        one = swept.replace(batch_size=int(size))
        alone = one.apply(w, STEPS, SEED)[place]
        np.testing.assert_array_equal(ends[place], alone)


# --- noise in the formula

NOISY = sd.Loss("x**4/4 - y**2/2 + u*x*y + v*x**2/2", noise="u v")


def noisy_slope(w, u, v):
    return np.array([w[0] ** 3 + u * w[1] + v * w[0], -w[1] + u * w[0]])


def noisy_sam(w, up, down):
    return noisy_slope(w + RHO * unit(noisy_slope(w, *up)), *down)


@pytest.mark.parametrize(
    ("algorithm", "fresh", "draws", "move"),
    [
        (sd.GD(lr=LR), False, 1, lambda w, d: w - LR * noisy_slope(w, *d[0])),
        (sd.SAM(lr=LR, rho=RHO), False, 1, lambda w, d: w - LR * noisy_sam(w, d[0], d[0])),
        (sd.SAM(lr=LR, rho=RHO), True, 2, lambda w, d: w - LR * noisy_sam(w, d[0], d[1])),
        (
            *(sd.Lookahead(sd.SAM(lr=LR, rho=RHO), k=2, alpha=1.0), True, 4),
            lambda w, d: (p := w - LR * noisy_sam(w, d[0], d[1])) - LR * noisy_sam(p, d[2], d[3]),
        ),
        (
            *(sd.Lookahead(sd.GD(lr=LR), k=3, alpha=1.0), False, 3),
            lambda w, d: (
                (q := (p := w - LR * noisy_slope(w, *d[0])) - LR * noisy_slope(p, *d[1]))
                - LR * noisy_slope(q, *d[2])
            ),
        ),
        (
            *(sd.DNSAM(lr=LR, rho=RHO), False, 1),
            lambda w, d: (
                w
                - LR
                * noisy_slope(
                    w
                    + RHO
                    * noisy_slope(w, *d[0])
                    / np.sqrt(noisy_slope(w, 0, 0) @ noisy_slope(w, 0, 0)),
                    *d[0],
                )
            ),
        ),
    ],
)
def test_noise_serves_a_step_or_a_gradient(algorithm, fresh, draws, move):
    system = sd.Map(NOISY, algorithm, fresh_noise=fresh)
    assert len(system.noise) == 2 * draws
    assert system.noise[:2] == ("u", "v")
    assert len(set(system.noise)) == 2 * draws
    ends = system.apply(W0, STEPS, seed=SEED)
    for place, w in enumerate(W0):
        key = keys(SEED, [place])
        for step in range(STEPS):
            xi = np.array(normals(key, step, 2 * draws))[:, 0]
            w = move(w, xi.reshape(draws, 2))
        np.testing.assert_allclose(ends[place], w, rtol=1e-13)


def test_particles_and_steps_and_seeds_draw_for_themselves():
    system = sd.Map(NOISY, sd.GD(lr=LR))
    same_start = np.ones((40, 2))
    ends = system.apply(same_start, 1)
    assert len(np.unique(ends[:, 0])) == 40
    assert not np.isin(ends, system.apply(same_start, 1, seed=1)).any()
    np.testing.assert_array_equal(ends, system.apply(same_start, 1, seed=0))
    np.testing.assert_array_equal(ends[:7], system.apply(same_start[:7], 1))
    np.testing.assert_array_equal(
        ends.reshape(8, 5, 2), system.apply(same_start.reshape(8, 5, 2), 1)
    )
    np.testing.assert_array_equal(ends[0], system.apply(same_start[0], 1))


# --- how often each sample is drawn


def rows(order, n, size, particles, steps, draws=1, seed=0):
    """The rows of the first draw's batches, of shape (steps, size, particles)."""
    table = np.arange(float(n))[:, None]
    sampling = Sampling(table, order, draws)
    key = keys(seed, np.arange(particles))
    return np.array([sampling.batches(key, t, size)[-1].rows for t in steps])


@pytest.mark.parametrize(("n", "size"), [(1, 1), (2, 2), (5, 3), (6, 6), (10, 1), (31, 30)])
def test_a_subset_never_repeats_a_sample(n, size):
    ordered = np.sort(rows("subset", n, size, 200, range(5)), axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()
    assert ordered.min() >= 0
    assert ordered.max() < n


@pytest.mark.parametrize("order", ["replacement", "subset", "epochs"])
@pytest.mark.parametrize("draws", [1, 2])
def test_each_sample_is_drawn_as_often_as_any_other(order, draws):
    n, size = 6, 4
    seen = rows(order, n, size, 8000, [7], draws)[0]  # step 7 of an epoch of 2: a short batch
    if order == "epochs":
        seen = seen[:2]
    for place in seen:  # in every place of the batch
        assert stats.chisquare(np.bincount(place, minlength=n)).pvalue > LEAST
    codes = n * seen[0] + seen[1]
    counts = np.bincount(codes, minlength=n * n).reshape(n, n)
    if order == "replacement":
        assert stats.chisquare(counts.ravel()).pvalue > LEAST
    else:
        assert np.trace(counts) == 0
        assert stats.chisquare(counts[~np.eye(n, dtype=bool)]).pvalue > LEAST


def test_all_subsets_and_all_orders_are_equally_likely():
    seen = rows("subset", 5, 3, 6000, [0])[0]
    orders = Counter(map(tuple, seen.T))
    assert len(orders) == 60
    assert stats.chisquare(list(orders.values())).pvalue > LEAST
    decks = Counter(map(tuple, rows("epochs", 4, 4, 6000, [0])[0].T))
    assert len(decks) == 24
    assert stats.chisquare(list(decks.values())).pvalue > LEAST


def test_the_mean_over_a_subset_has_the_variance_of_a_finite_population():
    values = RNG.normal(size=9)
    n, size, many = 9, 4, 40_000
    for order, factor in (("subset", (n - size) / (n - 1)), ("replacement", 1.0)):
        means = values[rows(order, n, size, many, [3])[0]].mean(axis=0)
        exact = values.var() / size * factor
        assert means.var() == pytest.approx(exact, rel=4.5 * np.sqrt(2 / many))
        assert means.mean() == pytest.approx(values.mean(), abs=4.5 * np.sqrt(exact / many))


@pytest.mark.parametrize(("n", "size"), [(7, 3), (6, 3), (5, 5), (4, 1), (8, 5)])
def test_an_epoch_visits_each_sample_once_and_in_a_new_order(n, size):
    sampling = Sampling(np.arange(float(n))[:, None], "epochs", 1)
    key = keys(1, np.arange(50))
    length = -(-n // size)
    epochs = []
    for epoch in range(6):
        visited = []
        for place in range(length):
            (batch,) = sampling.batches(key, epoch * length + place, size)
            assert (batch.size == min(size, n - place * size)).all()
            visited.append(batch.rows[: int(batch.size[0])])
        deck = np.concatenate(visited)
        np.testing.assert_array_equal(np.sort(deck, axis=0), np.arange(n)[:, None] + 0 * deck)
        epochs.append(deck)
    for one, other in combinations(epochs, 2):
        assert np.mean((one == other).all(axis=0)) < 0.25  # 1 in 24 of 4 cards
        assert np.mean(one == other) == pytest.approx(1 / n, abs=4.5 / np.sqrt(50 * n))


def test_sizes_of_their_own_end_epochs_of_their_own():
    sampling = Sampling(np.arange(7.0)[:, None], "epochs", 1)
    sizes = np.array([1.0, 2.0, 3.0, 7.0])
    key = keys(1, np.zeros(4, int))
    for step in range(20):
        (batch,) = sampling.batches(key, step, sizes)
        for lane, size in enumerate(sizes):
            (alone,) = sampling.batches(key[:, [lane]], step, size)
            count = int(alone.size[0])
            assert batch.size[lane] == count
            np.testing.assert_array_equal(batch.rows[:count, lane], alone.rows[:count, 0])


@pytest.mark.parametrize("order", ["replacement", "subset"])
def test_a_larger_batch_begins_with_the_smaller(order):
    small, large = (rows(order, 9, size, 30, range(4), seed=3) for size in (3, 8))
    np.testing.assert_array_equal(large[:, :3], small)


@pytest.mark.parametrize("order", ["replacement", "subset", "epochs"])
def test_draws_of_a_step_and_steps_are_independent(order):
    first, second = (rows(order, 5, 2, 8000, [0, 4], draws)[:, 0] for draws in (1, 2))
    for one, other in ((first[0], first[1]), (first[0], second[0]), (first[0], second[1])):
        cells = np.bincount(5 * one + other, minlength=25)
        assert stats.chisquare(cells).pvalue > LEAST


# --- means over a batch by hand


def test_a_batch_s_means_count_what_counts():
    table = np.arange(10.0).reshape(5, 2)
    batch = Batch(table, np.array([[0, 4], [1, 2], [3, 3]]), np.array([3.0, 2.0]))
    first, second = batch.mean(lambda a, b: (a + b, a * 0.0 + 1.0))
    np.testing.assert_allclose(first, [(1 + 5 + 13) / 3, (17 + 9) / 2])
    np.testing.assert_allclose(second, [1.0, 1.0])
    seen = []

    def whole(part):
        seen.append(part.size.tolist())
        return part.mean(lambda a, b: (a * a,))

    (parted,) = batch.over_parts(2, whole)
    assert seen == [[2.0, 2.0], [1.0, 0.0]]
    np.testing.assert_allclose(parted, [(0 + 4 + 36) / 3, (64 + 16) / 2])
    (one,) = batch.over_parts(1, lambda part: [part.mean(lambda a, b: (a,))[0] ** 2])
    np.testing.assert_allclose(one, [(0 + 4 + 36) / 3, (64 + 16) / 2])
