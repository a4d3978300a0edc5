"""Particles that end at different steps, packed anew while the others go on."""

import numpy as np
import pytest

import samdyn as sd
from samdyn.ensembles import chunk
from samdyn.ensembles.packing import Packed, by_row
from samdyn.readings.lines import LANES

LR, STEPS, AFTER = 0.01, 2400, 100
SADDLE = sd.Loss("x**2/2 - y**2/2")
# they leave at steps from 0 to 2083, those of a block far apart from each other
HEIGHTS = np.random.default_rng(0).permutation(np.geomspace(1e-9, 1.2, 300))
POINTS = np.stack([np.linspace(-2.0, 2.0, 300), HEIGHTS], axis=1)
TIMES = [0, 1, 63, 64, 65, 700, 1024, 1500, 2000, 2390, 2400]


def loop(gradient, velocity_kept=0.0):
    """Every particle by itself: its path up to the step at which it has left."""
    for x, y in POINTS:
        path = [(x, y)]
        while not (path[-1][1] > 1.0 or len(path) > STEPS):
            x, y = gradient(len(path) - 1, x, y)
            path.append((x, y))
        yield np.array(path)


def descent(_, x, y):
    return x - LR * x, y - LR * -y


def switched(step, x, y):
    """After step 900, un-normalised SAM with rho = 0.5."""
    if step < 900:
        return descent(step, x, y)
    p, q = x + 0.5 * x, y + 0.5 * -y
    return x - LR * p, y - LR * -q


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Short slices, between which particles are packed anew."""
    monkeypatch.setattr(chunk, "_STRIDE", 50)
    monkeypatch.setattr(chunk, "_SLICE", 0.0)  # 64 steps a slice


@pytest.fixture
def counted(monkeypatch):
    """How often particles were packed anew."""
    sizes = []

    class Counting(Packed):
        def __init__(self, table, keys, code):
            super().__init__(table, keys, code)
            sizes.append(len(self.index))

    monkeypatch.setattr(chunk, "Packed", Counting)
    monkeypatch.setattr("samdyn.ensembles.packing.Packed", Counting)
    return sizes


def agrees(run, paths):
    for k, path in enumerate(paths):
        last = len(path) - 1
        assert run.steps[k] == last
        assert run.reason[k] == (1 if path[-1, 1] > 1.0 else 0)
        np.testing.assert_array_equal(run.final[k], path[-1])
        recorded = path[np.minimum(run.time.values, last)]
        np.testing.assert_array_equal(run.w[k], recorded)
        counted = path[AFTER:, 1] ** 2
        if not len(counted):
            assert np.isnan(run.y2_mean[k])
            continue
        assert run.y2_mean[k] == pytest.approx(counted.mean(), rel=1e-12)
        assert run.y2_variance[k] == pytest.approx(counted.var(), rel=1e-9, abs=1e-24)
        assert run.y2_min[k] == counted.min()
        assert run.y2_max[k] == counted.max()


@pytest.mark.parametrize("size", [None, 300, 70])
def test_everybody_ends_where_and_when_they_do_alone(size, counted):
    system = sd.Map(SADDLE, sd.GD(lr=LR))
    run = sd.simulate(
        *(system, POINTS, STEPS),
        until=sd.Escape("y > 1"),
        statistics={"y2": "y**2"},
        after=AFTER,
        record=TIMES,
        chunk=size,
        progress=False,
    )
    paths = list(loop(descent))
    ends = np.array([len(path) - 1 for path in paths])
    assert ends.min() == 0
    assert 2000 < ends.max() < 2100  # the last records are of ended particles only
    assert len(counted) > 6
    agrees(run, paths)
    np.testing.assert_array_equal(run.loss, SADDLE.value(run.w.values))


def test_packed_particles_go_through_a_switch(counted):
    algorithm = sd.Switch([(0, sd.GD(lr=LR)), (900, sd.USAM(lr=LR, rho=0.5))])
    run = sd.simulate(
        *(sd.Map(SADDLE, algorithm), POINTS, STEPS),
        until=sd.Escape("y > 1"),
        statistics={"y2": "y**2"},
        after=AFTER,
        record=TIMES,
        progress=False,
    )
    paths = list(loop(switched))
    ends = np.array([len(path) - 1 for path in paths])
    assert (ends < 900).any()
    assert ((ends > 900) & (ends < STEPS)).any()
    assert (ends == STEPS).any()
    agrees(run, paths)


def test_everybody_may_have_ended_before_a_switch():
    algorithm = sd.Switch([(0, sd.GD(lr=LR)), (900, sd.USAM(lr=LR, rho=0.5))])
    start = POINTS[POINTS[:, 1] > 1e-3]
    run = sd.simulate(
        *(sd.Map(SADDLE, algorithm), start, STEPS),
        until=sd.Escape("y > 1"),
        statistics={"y2": "y**2"},
        after=AFTER,
        record=TIMES,
        progress=False,
    )
    assert run.steps.max() < 900
    agrees(run, (path for path in loop(descent) if path[0, 1] > 1e-3))


# --- the packing itself

CODE = 3


def table(codes):
    n = len(codes)
    rows = np.arange(5.0 * n).reshape(5, n)
    rows[CODE] = codes
    return rows, np.arange(2 * n, dtype=np.uint64).reshape(2, n)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_unpacked_is_what_was_packed(n):
    codes = np.random.default_rng(n).integers(0, 3, n) * 1.0
    rows, keys = table(codes)
    before = rows.copy()
    packed = Packed(rows, keys, CODE)
    running = np.flatnonzero(codes == 0.0)
    np.testing.assert_array_equal(packed.index, running)
    assert packed.blocks.shape == (-(-len(running) // LANES), 5 * LANES)
    lanes = by_row(packed.blocks, 5)
    np.testing.assert_array_equal(lanes[:, : len(running)], before[:, running])
    assert (lanes[CODE, len(running) :] != 0.0).all()
    for block, key in zip(packed.blocks.reshape(-1, 5, LANES), packed.keys, strict=True):
        alive = block[CODE] == 0.0
        # row 0 counts the particles, and so does the first key
        np.testing.assert_array_equal(key[0][alive], block[0][alive].astype(np.uint64))
    packed.blocks[:] = by_block(lanes * 2.0)
    packed.unpack()
    others = np.setdiff1d(np.arange(n), running)
    np.testing.assert_array_equal(rows[:, others], before[:, others])
    np.testing.assert_array_equal(rows[:, running], 2.0 * before[:, running])


def by_block(rows):
    """The inverse of by_row, entry by entry."""
    blocks = np.empty((rows.shape[1] // LANES, len(rows) * LANES))
    for row in range(len(rows)):
        for lane in range(rows.shape[1]):
            blocks[lane // LANES, row * LANES + lane % LANES] = rows[row, lane]
    return blocks


def test_packed_anew_when_half_of_the_lanes_are_idle():
    rows, keys = table(np.zeros(128))
    packed = Packed(rows, keys, CODE)
    codes = packed.blocks.reshape(2, 5, LANES)[:, CODE]
    codes[0, :] = 2.0
    codes[1, 0] = 0.0
    codes[0, :1] = 0.0  # 65 of 128 run
    assert packed.repacked() is packed
    codes[0, 0] = 1.0  # 64
    anew = packed.repacked()
    assert anew is not packed
    np.testing.assert_array_equal(anew.index, np.arange(64, 128))
    assert len(anew.blocks) == 1
    np.testing.assert_array_equal(rows[CODE, :64], [1.0, *[2.0] * 63])
    anew.blocks.reshape(1, 5, LANES)[:, CODE] = 1.0
    none = anew.repacked()
    assert none.blocks.shape == (0, 5 * LANES)
    assert len(none.index) == 0
    assert (rows[CODE] != 0.0).all()
    assert none.repacked().blocks.shape == (0, 5 * LANES)
    none.unpack()
    assert by_row(np.zeros((3, 0, 2 * LANES)), 2).shape == (3, 2, 0)
