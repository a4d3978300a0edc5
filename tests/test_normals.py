"""Normals: their definition at 60 digits, the compiled text, and statistics at fixed seeds.

Every statistical test draws the same numbers each time. Its threshold is a p-value of 1e-4 or a
bound of 4.5 standard errors, written before looking.
"""

import mpmath
import numpy as np
import pytest
from numba import njit
from scipy import stats

import samdyn as sd
from samdyn import random
from samdyn.readings import drawing
from samdyn.readings.lines import LANES

LEAST = 1e-4
ONES = 2**64 - 1


def correlated(x, y):
    """The correlation of two equally long samples in standard errors."""
    return np.corrcoef(x.ravel(), y.ravel())[0, 1] * np.sqrt(x.size)


def exactly(word):
    """The length and the two normals of a word at 60 digits."""
    with mpmath.workdps(60):
        u = (mpmath.mpf(word >> 24) + 0.5) / 2**40
        angle = (mpmath.mpf(word >> 2 & 2**22 - 1) + 0.5) / 2**22 * mpmath.pi / 2
        length = mpmath.sqrt(-2 * mpmath.log(u))
        x, y = length * mpmath.cos(angle), length * mpmath.sin(angle)
        return length, -x if word & 1 else x, -y if word & 2 else y


def lattice(places, angle=0):
    """Words with these upper 40 bits."""
    return np.array(places, np.uint64) << np.uint64(24) | np.uint64(angle)


# --- a word's two normals


def test_normals_are_box_and_muller_s():
    """To 6 half units of the length; a coordinate near 0 has fewer digits of its own."""
    words = np.random.default_rng(1).integers(0, ONES, 3000, np.uint64, endpoint=True)
    ends = [0, 1, 2, 2**39 - 1, 2**39, 2**40 - 2, 2**40 - 1]
    ends += [int(2**40 * 2.0**-n * 2**0.5) + k for n in (1, 2, 9) for k in range(-2, 2)]
    angles = [4 * j + q for j in (0, 1, 2**21 - 1, 2**21, 2**22 - 1) for q in range(4)]
    words = np.append(words, [lattice(ends, angle) for angle in angles])
    for word, x, y in zip(words.tolist(), *random.gaussian(words), strict=True):
        length, a, b = exactly(word)
        assert max(abs(a - x), abs(b - y)) < 6 * 2.0**-53 * length, hex(word)


def test_all_four_quadrants_and_the_whole_circle_are_reached():
    """Every 64th angle, evenly spread, and as many about a quadrant's edge, all at one length."""
    places = np.append(np.arange(0, 2**22, 64), np.arange(2**22 - 2**10, 2**22 + 2**10) % 2**22)
    words = (4 * np.unique(places)[:, None] + np.arange(4)).ravel().astype(np.uint64)
    x, y = random.gaussian(words | np.uint64(2**63))
    quadrant = np.arctan2(abs(y), abs(x)) / (np.pi / 2) * 2**22
    np.testing.assert_allclose(quadrant, (words >> np.uint64(2)) + 0.5, atol=1e-8)
    np.testing.assert_array_equal(x < 0, words & np.uint64(1) == 1)
    np.testing.assert_array_equal(y < 0, words & np.uint64(2) == 2)
    np.testing.assert_allclose(x**2 + y**2, 2 * np.log(2), rtol=1e-11)


def test_extreme_words():
    (far, _), (near, _) = (random.gaussian(lattice([k])) for k in (0, 2**40 - 1))
    assert far[0] == pytest.approx(np.sqrt(2 * 41 * np.log(2)), rel=1e-12)
    assert 7.539 < far[0] < 7.540  # the largest there is
    assert near[0] == pytest.approx(np.sqrt(-2 * np.log1p(-(2.0**-41))), rel=1e-12)
    for word in (0, 1, 2, 3, 2**24 - 1, 2**24, ONES - 1, ONES):
        drawn = random.gaussian(np.array([word], np.uint64))
        assert np.isfinite(drawn).all()
        assert np.all(np.array(drawn) != 0.0)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0, 3.0, 5.0, 6.0, 7.0])
def test_tails_of_the_lattice(radius):
    """P(R > r) over all 2**40 lengths, counted: exp(-r**2/2) to the spacing of the lattice."""

    def beyond(k):
        return np.sqrt(2 * random.exponential(lattice([k])))[0] > radius

    low, high = 0, 2**40  # the length falls with the place: count by bisection
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if beyond(middle) else (low, middle)
    exact = np.exp(-(radius**2) / 2)
    assert abs(low * 2.0**-40 - exact) < 2.0**-40 + 8 * np.spacing(exact)


# --- which word is whose


def test_a_call_serves_four_steps():
    key = random.keys(3, np.arange(5))
    for step in (*range(9), 2**33 + 3):
        for draw, z in enumerate(random.normals(key, step, 3)):
            counter = np.full((2, 5), [[step >> 2], [draw]], np.uint64)
            word = random.threefry(*counter, *key)[step >> 1 & 1]
            np.testing.assert_array_equal(z, random.gaussian(word)[step & 1])


def test_a_normal_does_not_depend_on_how_many_there_are():
    key = random.keys(1, np.arange(6))
    for step in range(4):
        few, many = random.normals(key, step, 2), random.normals(key, step, 5)
        np.testing.assert_array_equal(few, many[:2])
    assert random.normals(key, 8, 0) == []


@pytest.mark.parametrize(("normals", "bridges"), [(2, 0), (1, 2)])
def test_the_compiled_text_draws_the_same(normals, bridges):
    scope = {"np": np, "njit": njit, "inlined": njit(error_model="numpy")}
    exec(drawing.cipher() + "\n\n" + drawing.text(normals, bridges), scope)
    drawn = np.full((4, (normals + bridges) * LANES), np.nan)
    key = random.keys(5, np.arange(LANES))
    for step in (0, 6, 4 * 2**33 + 1):
        scope["draw"](*key, 0, LANES, step, drawn)
        drawn.reshape(4, -1, LANES)[:, :, 7] = np.nan
        scope["draw"](*key, 7, 8, step, drawn)  # one lane by itself
        for s, rows in enumerate(drawn.reshape(4, -1, LANES)):
            now = step - step % 4 + s
            np.testing.assert_array_equal(
                rows[:normals], np.reshape(random.normals(key, now, normals), (-1, LANES))
            )
            for k, row in enumerate(rows[normals:]):
                counters = np.array([now // 2, random.BRIDGE + k], np.uint64)[:, None] + 0 * key
                pair = random.threefry(*counters, *key)
                np.testing.assert_array_equal(row, random.exponential(pair[now % 2]))


def test_a_kernel_with_noise_agrees_with_numpy_to_the_last_bit():
    """At any width, with records that cut a stretch anywhere, past an event and alone."""
    loss = sd.Loss("x**2/2 - y**2/2 + y**4/4 + 0.3*(x*a + y*b + x*y*c)", noise="a b c")
    system = sd.Map(loss, sd.GD(lr=0.1))
    start = np.random.default_rng(0).normal(size=(130, 2))
    times = [0, 1, 2, 3, 5, 9, 14, 33, 60, 63]
    run = sd.simulate(system, start, 67, seed=8, record=times, until=sd.Escape("x > 1.5"))
    ended = run.steps.values
    assert 0 < (run.reason == 1).sum() < 130
    for t in [*times, 67]:
        exact = system.apply(start, t, seed=8)
        here = run.w.sel(time=t).values if t in times else run.final.values
        running = ended >= t
        assert running.any()
        np.testing.assert_array_equal(here[running], exact[running])
    for i in np.flatnonzero(ended < 67)[:20]:
        np.testing.assert_array_equal(run.final[i], system.apply(start, ended[i], seed=8)[i])


# --- statistics


@pytest.fixture(scope="module")
def gaussian():
    """2e6 normals: 1000 steps, 2 draws, 1000 streams."""
    key = random.keys(77, np.arange(1000))
    return np.array([random.normals(key, t, 2) for t in range(1000)])


def test_moments_up_to_the_sixth(gaussian):
    """Over each draw, and over the steps of each remainder by four."""
    exact = {1: 0, 2: 1, 3: 0, 4: 3, 5: 0, 6: 15}
    full = {2: 1, 4: 3, 6: 15, 8: 105, 10: 945, 12: 10395}
    for z in (gaussian[:, 0], gaussian[:, 1], *(gaussian[s::4] for s in range(4))):
        for power, moment in exact.items():
            error = np.sqrt((full[2 * power] - moment**2) / z.size)
            assert abs((z**power).mean() - moment) < 4.5 * error


def test_normals_are_normal(gaussian):
    sums = gaussian.sum(axis=1), gaussian[::2] + gaussian[1::2]
    for z in (gaussian[:, 0], gaussian[:, 1], *(gaussian[s::4] for s in range(4))):
        assert stats.kstest(z.ravel(), "norm").pvalue > LEAST
    for z in sums:
        assert stats.kstest(z.ravel() / np.sqrt(2), "norm").pvalue > LEAST


PAIRS = {  # two steps among the four that share a call, and two that do not
    "one word": lambda z: (z[0::2], z[1::2]),
    "even halves": lambda z: (z[0::4], z[2::4]),
    "odd halves": lambda z: (z[1::4], z[3::4]),
    "crosswise": lambda z: (z[0::4], z[3::4]),
    "inner": lambda z: (z[1::4], z[2::4]),
    "next call": lambda z: (z[3:-4:4], z[4::4]),
    "draws": lambda z: (z[:, 0], z[:, 1]),
    "streams": lambda z: (z[:, :, 0::2], z[:, :, 1::2]),
}


@pytest.mark.parametrize("which", PAIRS)
def test_two_normals_are_independent(gaussian, which):
    z, w = (half.ravel() for half in PAIRS[which](gaussian))
    for f, g in ((1, 1), (2, 2), (1, 2), (2, 1), (3, 1), (1, 3), (3, 3)):
        assert abs(correlated(z**f, w**g)) < 4.5
    assert abs(correlated(abs(z), abs(w))) < 4.5
    cells = 40 * (stats.norm.cdf(z) * 40).astype(int) + (stats.norm.cdf(w) * 40).astype(int)
    assert stats.chisquare(np.bincount(cells, minlength=1600)).pvalue > LEAST
    assert stats.kstest(z**2 + w**2, stats.chi2(2).cdf).pvalue > LEAST


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 64])
def test_neighbouring_steps_and_streams_are_uncorrelated(gaussian, lag):
    for power in (1, 2):
        z = gaussian**power
        assert abs(correlated(z[lag:], z[:-lag])) < 4.5
        assert abs(correlated(z[:, :, lag:], z[:, :, :-lag])) < 4.5
        assert abs(correlated(z[lag:, 0], z[:-lag, 1])) < 4.5


def test_a_length_says_nothing_about_the_angle(gaussian):
    """The two come from one word: the angle's last bits and the length's first, and so on."""
    x, y = gaussian[0::2].ravel(), gaussian[1::2].ravel()
    level = np.exp(-(x**2 + y**2) / 2)
    turn = np.arctan2(y, x) / (2 * np.pi) % 1.0
    for fine in (1, 2**8, 2**16):
        for other in (1, 2**8, 2**16):
            a, b = (level * fine % 1.0 * 32).astype(int), (turn * other % 1.0 * 32).astype(int)
            assert stats.chisquare(np.bincount(32 * a + b, minlength=1024)).pvalue > LEAST


def test_random_walks_spread_as_they_should(gaussian):
    """Paths of 1000 steps: what an ensemble makes of the numbers."""
    paths = gaussian.cumsum(axis=0)
    for step in (10, 100, 999):
        end = paths[step].ravel() / np.sqrt(step + 1)
        assert stats.kstest(end, "norm").pvalue > LEAST
    back = (gaussian[:500].sum(axis=0) * gaussian[500:].sum(axis=0)).ravel() / 500
    assert abs(back.mean()) * np.sqrt(back.size) < 4.5


@pytest.mark.slow
def test_tails_of_twenty_five_million_normals():
    """P(|Z| > k), k = 1 to 5, and the number beyond 6 sigma, where 0.05 are expected."""
    streams = 62_500
    key = random.keys(6, np.arange(streams))
    beyond, total = np.zeros(6), 0
    for call in range(100):
        counter = np.full((2, streams), [[call], [0]], np.uint64)
        for word in random.threefry(*counter, *key):
            for z in random.gaussian(word):
                size = abs(z)
                beyond += [(size > k).sum() for k in range(1, 7)]
                total += z.size
    for k in range(1, 6):
        expected = total * 2 * stats.norm.sf(k)
        assert abs(beyond[k - 1] - expected) < 4.5 * np.sqrt(expected), k
    assert total == 25 * 10**6
    assert stats.poisson.sf(beyond[5] - 1, total * 2 * stats.norm.sf(6)) > LEAST
