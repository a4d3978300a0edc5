"""Which samples each lane's minibatch has, in generated text.

What `samdyn.systems.sampling` says in NumPy, a lane at a time: `samples` gets the fields of the
samples drawn and `sizes` how many of them count. One call of the cipher gives four numbers.
"""

from __future__ import annotations

from samdyn.random import BATCH
from samdyn.readings.lines import LANES, at

_HEAD = (
    """\
@njit(error_model="numpy")
def deal(row, key0, key1, data, samples, sizes, deck, dealt, swapped, a, b, u, most):
    """
    + '"""'
    + """Draw the batches of step ``u`` for lanes ``a`` to ``b``."""
    + '"""'
    + """
    a = max(a, 0)  # LLVM must see that no place is negative
    n = data.shape[0]
    for s in range({draws}):
"""
)

_REPLACEMENT = """\
        rows = np.empty((4, {lanes}), np.uint64)
        for k in range(0, most, 4):
            for i in range(a, b):
                e0, e1 = threefry(
                    np.uint64(u), np.uint64((s + 1) * {batch} + k // 4), key0[i], key1[i]
                )
                rows[0, i] = below(e0, np.uint64(n))
                rows[1, i] = below(e0 >> np.uint64(32), np.uint64(n))
                rows[2, i] = below(e1, np.uint64(n))
                rows[3, i] = below(e1 >> np.uint64(32), np.uint64(n))
            for j in range(min(4, most - k)):
                for f in range(data.shape[1]):
                    for i in range(a, b):
                        samples[s, k + j, f, i] = data[rows[j, i], f]
        for i in range(a, b):
            sizes[s * {lanes} + i] = row[{size}]
"""

_SHUFFLE = (
    """\
@inlined
def shuffle(cards, swapped, count, counter, draw, k0, k1):
    """
    + '"""'
    + """Fisher and Yates on the first ``count`` cards; ``swapped`` remembers with whom."""
    + '"""'
    + """
    n = cards.shape[0]
    e0, e1 = np.uint64(0), np.uint64(0)
    for k in range(count):
        if k % 4 == 0:
            e0, e1 = threefry(np.uint64(counter), np.uint64(draw + k // 4), k0, k1)
        word = e1 if k & 2 else e0
        half = word >> np.uint64(32) if k & 1 else word
        other = k + np.int64(below(half, np.uint64(n - k)))
        card = cards[other]
        cards[other] = cards[k]
        cards[k] = card
        swapped[k] = other


"""
)

_SUBSET = """\
        for i in range(a, b):
            cards = deck[s, i]
            count = np.int64(row[{size}])
            shuffle(cards, swapped, count, u, (s + 1) * {batch}, key0[i], key1[i])
            for k in range(count):
                for f in range(data.shape[1]):
                    samples[s, k, f, i] = data[cards[k], f]
            for k in range(count - 1, -1, -1):  # the deck is in order again for the next step
                card = cards[swapped[k]]
                cards[swapped[k]] = cards[k]
                cards[k] = card
            sizes[s * {lanes} + i] = row[{size}]
"""

_EPOCHS = """\
        for i in range(a, b):
            cards = deck[s, i]
            size = max(np.int64(row[{size}]), 1)  # a lane without a particle has 0
            length = -(-n // size)
            epoch = u // length
            first = (u - epoch * length) * size
            if dealt[s, i] != epoch:
                for k in range(n):
                    cards[k] = k
                shuffle(cards, swapped, n, epoch, (s + 1) * {batch}, key0[i], key1[i])
                dealt[s, i] = epoch
            count = min(size, n - first)
            for k in range(count):
                for f in range(data.shape[1]):
                    samples[s, k, f, i] = data[cards[first + k], f]
            sizes[s * {lanes} + i] = count
"""

_ORDERS = {"replacement": _REPLACEMENT, "subset": _SUBSET, "epochs": _EPOCHS}


def text(order: str, draws: int, size: int) -> str:
    """The functions that deal the batches of a step.

    Parameters
    ----------
    order : str
        One of `samdyn.systems.sampling.ORDERS`.
    draws : int
        Batches a step takes.
    size : int
        The row of the table that holds each lane's batch size.
    """
    body = _HEAD + _ORDERS[order]
    body = body.format(draws=draws, batch=BATCH, lanes=LANES, size=at(size))
    return ("" if order == "replacement" else _SHUFFLE) + body
