"""The cipher, keys and uniforms: published answers, an independent generator, and statistics.

Every statistical test draws the same numbers each time. Its threshold is a p-value of 1e-4 or a
bound of 4.5 standard errors (5 where there are thousands of estimates), written before looking.
"""

import inspect

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from randomgen import ThreeFry
from scipy import stats

from samdyn import random

WORD = st.integers(0, 2**64 - 1)
EDGES = st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 2, 2**64 - 1])
WORDS = st.tuples(*[WORD | EDGES] * 4)
ONES = 2**64 - 1
LEAST = 1e-4

# Random123, tests/kat_vectors: counter, key, answer
KNOWN = [
    ((0, 0), (0, 0), (0xC2B6E3A8C2C69865, 0x6F81ED42F350084D)),
    ((ONES, ONES), (ONES, ONES), (0xE02CB7C4D95D277A, 0xD06633D0893B8B68)),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344),
        (0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x263C7D30BB0F0AF1, 0x56BE8361D3311526),
    ),
]


def word(value):
    return np.array([value], np.uint64)


def threefry(counter, key):
    return tuple(int(x[0]) for x in random.threefry(*map(word, (*counter, *key))))


def rounds(counter, key):
    """Threefry-2x64-20 as the paper's section 4.2 states it, on Python's integers."""
    schedule = [*key, key[0] ^ key[1] ^ 0x1BD11BDAA9FC1A22]
    x, y = counter
    for i in range(20):
        if i % 4 == 0:
            x, y = x + schedule[i // 4 % 3], y + schedule[(i // 4 + 1) % 3] + i // 4
        x = (x + y) & ONES
        turn = (16, 42, 12, 31, 16, 32, 24, 21)[i % 8]
        y &= ONES
        y = ((y << turn | y >> (64 - turn)) & ONES) ^ x
    return (x + schedule[5 % 3]) & ONES, (y + schedule[6 % 3] + 5) & ONES


def draws(seed, streams, steps, count):
    """Uniforms as an array of steps by draws by streams."""
    key = random.keys(seed, np.arange(streams))
    return np.array([random.uniforms(key, step, count) for step in range(steps)])


def correlated(x, y):
    """The correlation of two equally long samples in standard errors."""
    return np.corrcoef(x.ravel(), y.ravel())[0, 1] * np.sqrt(x.size)


# --- the block cipher


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_published_answers(counter, key, answer):
    assert threefry(counter, key) == answer
    assert rounds(counter, key) == answer


@given(WORDS)
def test_another_program_draws_the_same_words(words):
    (c0, c1), key = words[:2], words[2:]
    before = (c1 * 2**64 + c0 - 1) % 2**128  # it counts first and draws then
    counter = np.array([before % 2**64, before >> 64], np.uint64)
    other = ThreeFry(counter=counter, key=np.array(key, np.uint64), number=2, width=64)
    assert threefry((c0, c1), key) == tuple(other.random_raw(2).tolist()) == rounds((c0, c1), key)


def test_a_step_is_a_stretch_of_another_program_s_stream():
    """Pairs of uniforms are counters (step, 0), (step, 1), ...; steps are the low word."""
    key = random.keys(3, [11])
    other = ThreeFry(counter=np.array([41, 0], np.uint64), key=key[:, 0], number=2, width=64)
    words = other.random_raw(20).reshape(10, 2)
    mine = [random.uniforms(key, 42 + i, 2) for i in range(10)]
    np.testing.assert_array_equal(np.array(mine)[:, :, 0], random.fraction(words))


def test_arrays_are_drawn_entry_by_entry():
    many = np.array([counter + key for counter, key, _ in KNOWN], np.uint64).T
    answers = np.array([answer for *_, answer in KNOWN], np.uint64).T
    np.testing.assert_array_equal(random.threefry(*many), answers)


# --- words to numbers


def test_fractions_are_the_odd_multiples_of_2_to_the_minus_53():
    places = np.array([0, 1, 2, 2**51 - 1, 2**51, 2**52 - 2, 2**52 - 1], np.uint64)
    got = random.fraction(places << np.uint64(12))
    assert [mpmath.mpf(u) for u in got.tolist()] == [
        mpmath.ldexp(2 * int(k) + 1, -53) for k in places
    ]
    assert got.min() == 2.0**-53
    assert got.max() == 1 - 2.0**-53


@given(WORD | EDGES)
def test_fractions_are_exact_and_symmetric(bits):
    u, mirrored = random.fraction(word(bits))[0], random.fraction(word(bits ^ ONES))[0]
    assert u * 2**53 == 2 * (bits >> 12) + 1
    assert u + mirrored == 1.0
    assert 0.0 < u < 1.0
    assert random.fraction(word(bits | 0xFFF))[0] == u  # the lowest 12 bits are not used


# --- keys


def test_keys_are_the_cipher_of_seed_and_stream():
    got = random.keys(7, [0, 5])
    assert got.dtype == np.uint64
    assert got.shape == (2, 2)
    for i, stream in enumerate((0, 5)):
        assert tuple(got[:, i].tolist()) == rounds((stream, 0), (7, int.from_bytes(b"samdyn-1")))


def test_neighbouring_seeds_and_streams_have_keys_of_their_own():
    seeds = [*range(300), 2**32, 2**63, ONES - 1, ONES]
    streams = np.array([*range(1000), 2**31, 2**32, 2**63 + 1, ONES], np.uint64)
    both = np.hstack([random.keys(seed, streams) for seed in seeds])
    for half in both:  # a 64-bit half repeats by chance with probability 3e-9
        assert len(np.unique(half)) == half.size


def test_a_stream_s_key_does_not_depend_on_the_others():
    whole = random.keys(9, np.arange(100))
    np.testing.assert_array_equal(whole[:, 40:50], random.keys(9, np.arange(40, 50)))
    np.testing.assert_array_equal(whole[:, [17]], random.keys(9, 17))


def flips(before, after):
    """How many of the 128 bits of each block differ, and how often each bit does."""
    differ = np.unpackbits((before ^ after).T.copy().view(np.uint8), axis=1)
    return differ.sum(axis=1), differ.mean(axis=0)


@pytest.mark.parametrize("what", ["seed", "stream", "step", "draw"])
def test_one_flipped_bit_flips_half_of_the_output(what):
    n = 400
    streams = np.arange(n, dtype=np.uint64) * np.uint64(7919)
    key = random.keys(5, streams)
    counts, rates = [], []
    for bit in range(64):
        flip = np.uint64(1 << bit)
        if what == "seed":
            pair = key, random.keys(5 ^ 1 << bit, streams)
        elif what == "stream":
            pair = key, random.keys(5, streams ^ flip)
        else:
            zero = np.zeros_like(streams)
            step, draw = (flip, zero) if what == "step" else (zero, flip)
            plain = random.threefry(zero + np.uint64(12), zero, *key)
            pair = (
                np.array(plain),
                np.array(random.threefry(np.uint64(12) ^ step + zero, draw + zero, *key)),
            )
        count, rate = flips(*pair)
        counts.append(count)
        rates.append(rate)
    z = (np.array(rates) - 0.5) * 2 * np.sqrt(n)  # 64 x 128 binomial means
    assert abs(z).max() < 5.0
    observed = np.bincount(np.concatenate(counts), minlength=129)
    inside = slice(52, 77)
    expected = stats.binom.pmf(np.arange(129), 128, 0.5) * observed.sum()
    chi = stats.chisquare(
        [observed[:52].sum(), *observed[inside], observed[77:].sum()],
        [expected[:52].sum(), *expected[inside], expected[77:].sum()],
    )
    assert chi.pvalue > LEAST


# --- uniforms


@pytest.fixture(scope="module")
def cube():
    """2e6 uniforms: 500 steps, 4 draws, 1000 streams."""
    return draws(20240, 1000, 500, 4)


def test_uniforms_are_uniform(cube):
    assert stats.kstest(cube.ravel(), "uniform").pvalue > LEAST
    cells = np.bincount((cube.ravel() * 1000).astype(int), minlength=1000)
    assert stats.chisquare(cells).pvalue > LEAST
    for draw in range(4):
        assert stats.kstest(cube[:, draw].ravel(), "uniform").pvalue > LEAST


def test_the_last_bits_are_as_good_as_the_first(cube):
    """A uniform's 52 bits, each fair and each independent of the others."""
    bits = ((cube.ravel()[:40_000] - 2.0**-53) * 2**52).astype(np.uint64)
    signs = 2 * np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1)[:, :56].astype(float) - 1
    signs = signs[:, signs.std(axis=0) > 0]
    assert signs.shape[1] == 52
    z = signs.mean(axis=0) * np.sqrt(len(signs))
    assert abs(z).max() < 4.5
    pairs = np.triu(signs.T @ signs / np.sqrt(len(signs)), 1)
    assert abs(pairs).max() < 5.0


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_longer_draw_begins_with_the_shorter(count):
    key = random.keys(1, np.arange(6))
    short, long = random.uniforms(key, 8, count), random.uniforms(key, 8, 7)
    assert len(short) == count
    np.testing.assert_array_equal(short, long[:count])


def test_draws_may_begin_anywhere():
    key = random.keys(1, np.arange(6))
    whole = random.uniforms(key, 8, 12)
    np.testing.assert_array_equal(random.uniforms(key, 8, 5, first=2), whole[4:9])
    far = random.uniforms(key, 8, 4, first=random.BATCH - 1)
    after = random.threefry(*np.array([[8] * 6, [random.BATCH] * 6], np.uint64), *key)
    np.testing.assert_array_equal(far[2:], random.fraction(np.array(after)))
    assert random.uniforms(key, 8, 0) == []


def test_each_stream_may_be_at_a_step_of_its_own():
    key = random.keys(1, np.arange(3))
    apart = np.array(random.uniforms(key, np.array([4, 2**40, 9]), 3))
    for i, step in enumerate((4, 2**40, 9)):
        np.testing.assert_array_equal(apart[:, i], np.array(random.uniforms(key, step, 3))[:, i])


def test_draws_of_batches_and_events_have_nothing_in_common():
    key = random.keys(31, np.arange(100_000))
    firsts = [0, random.BRIDGE, *(s * random.BATCH for s in range(1, 4))]
    own, *others = (random.uniforms(key, 5, 2, first=first) for first in firsts)
    for batch in others:
        assert not np.isin(own, batch).any()
        assert abs(correlated(np.array(own), np.array(batch))) < 4.5


def test_a_stretch_of_steps_and_a_subset_of_streams_are_those_of_the_whole(cube):
    key = random.keys(20240, [3, 999])
    for step in (0, 123, 499):
        np.testing.assert_array_equal(random.uniforms(key, step, 4), cube[step][:, [3, 999]])


def test_no_number_is_drawn_twice(cube):
    """Among 2e6 of 2**52 numbers 0.00044 pairs are expected to be equal."""
    assert len(np.unique(cube)) == cube.size


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 8, 32, 64, 100])
def test_steps_draws_and_streams_are_uncorrelated(cube, lag):
    assert abs(correlated(cube[:-lag], cube[lag:])) < 4.5
    assert abs(correlated(cube[:, :, :-lag], cube[:, :, lag:])) < 4.5
    if lag < 4:
        assert abs(correlated(cube[:, :-lag], cube[:, lag:])) < 4.5
        assert abs(correlated(cube[:-lag, :-lag], cube[lag:, lag:])) < 4.5
    # and their squares about the middle: a change of scale
    squares = (cube - 0.5) ** 2
    assert abs(correlated(squares[:-lag], squares[lag:])) < 4.5
    assert abs(correlated(squares[:, :, :-lag], squares[:, :, lag:])) < 4.5


def test_neighbours_fill_the_square_evenly(cube):
    """Serial test: pairs of neighbouring steps, streams and draws in 50 x 50 cells."""
    cells = (cube * 50).astype(int)
    for x, y in (
        (cells[:-1:2], cells[1::2]),
        (cells[:, :, :-1:2], cells[:, :, 1::2]),
        (cells[:, ::2], cells[:, 1::2]),
    ):
        assert stats.chisquare(np.bincount((50 * x + y).ravel(), minlength=2500)).pvalue > LEAST


@pytest.mark.parametrize("shift", [(1, 0), (1, -1), (1, 1), (2, -1), (2**32, 0), (1, -(2**10))])
def test_neighbouring_seeds_have_nothing_in_common(shift):
    """A generator that adds seed and stream would draw the same numbers for some of these."""
    seeds, streams = shift
    here = np.arange(2000, 4000)
    steps = range(0, 100)
    a = np.array([random.uniforms(random.keys(50, here), t, 2) for t in steps])
    b = np.array([random.uniforms(random.keys(50 + seeds, here + streams), t, 2) for t in steps])
    assert not np.isin(a, b).any()
    assert abs(correlated(a, b)) < 4.5
    assert stats.kstest(((a + b) % 1.0).ravel(), "uniform").pvalue > LEAST


def test_a_seed_that_adds_would_be_found():
    """The test above can fail: seed and stream added give one particle another's numbers."""

    def adding(seed, streams):
        return random.keys(0, np.asarray(streams) + seed)

    a = random.uniforms(adding(50, np.arange(2000)), 0, 2)
    b = random.uniforms(adding(51, np.arange(2000) - 1), 0, 2)
    assert np.isin(a, b).all()


def test_sums_over_steps_have_the_variance_of_independent_numbers(cube):
    """What a simulation adds up: sums over 500 steps, and over 1000 streams."""
    centred = (cube - 0.5) * np.sqrt(12)
    for axis in (0, 2):
        sums = centred.sum(axis=axis).ravel() / np.sqrt(cube.shape[axis])
        assert stats.kstest(sums, "norm").pvalue > LEAST


# --- compiled, and many more of them


def compiled():
    """The texts as the kernels copy them."""
    scope = {"np": np, "inlined": njit(error_model="numpy")}
    exec("\n\n".join("@inlined\n" + inspect.getsource(f) for f in random.TEXTS), scope)
    return scope


def test_compiled_texts_draw_the_same():
    texts = compiled()
    cipher, fraction = texts["threefry"], texts["fraction"]

    @njit
    def over(words, out):
        for i in range(words.shape[1]):
            a, b = cipher(words[0, i], words[1, i], words[2, i], words[3, i])
            out[0, i], out[1, i] = fraction(a), fraction(b)

    words = np.random.default_rng(0).integers(0, ONES, (4, 1000), np.uint64, endpoint=True)
    out = np.empty((2, 1000))
    over(words, out)
    np.testing.assert_array_equal(out, [random.fraction(w) for w in random.threefry(*words)])


@pytest.mark.slow
def test_twenty_five_million_uniforms():
    """Chi-square in 2**16 cells, over the upper bits, the lower bits, and step pairs."""
    key = random.keys(8, np.arange(62_500))
    upper, lower, serial = np.zeros((3, 2**16), int)
    before = None
    for step in range(200):
        for u in random.uniforms(key, step, 2):
            place = ((u - 2.0**-53) * 2.0**52).astype(np.uint64)
            upper += np.bincount((place >> np.uint64(36)).astype(int), minlength=2**16)
            lower += np.bincount((place & np.uint64(0xFFFF)).astype(int), minlength=2**16)
            now = (place >> np.uint64(44)).astype(int)
            if before is not None:
                serial += np.bincount(before * 256 + now, minlength=2**16)
            before = now if before is None else None
    for cells in (upper, lower, serial):
        assert stats.chisquare(cells).pvalue > LEAST
