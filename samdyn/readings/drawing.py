"""The random numbers of a block of lanes, in generated text.

What `samdyn.random` says in NumPy, for the four steps that share a normal's call of the cipher: row
``s`` of ``drawn`` has the numbers of the step with remainder ``s``. The words stand between in the
places where the normals go. Two short lane loops are faster than one long one, whose constants do
not fit into the registers.
"""

from __future__ import annotations

import inspect

from samdyn import random
from samdyn.readings.lines import LANES

_DRAW = (
    """\
@njit(error_model="numpy")
def draw(key0, key1, a, b, u, drawn):
    """
    + '"""'
    + """Draw for lanes ``a`` to ``b`` what step ``u`` takes, and the steps that share its words."""
    + '"""'
    + """
    a = max(a, 0)  # LLVM must see that no place is negative
    words = drawn.view(np.uint64)
    four = np.uint64(u >> 2)
"""
)

_NORMALS = """\
    for k in range({normals}):
        row = k * {lanes}
        for i in range(a, b):
            e0, e1 = threefry(four, np.uint64(k), key0[i], key1[i])
            words[0, row + i] = e0
            words[2, row + i] = e1
        for i in range(a, b):
            e0, e1 = words[0, row + i], words[2, row + i]
            drawn[0, row + i], drawn[1, row + i] = gaussian(e0)
            drawn[2, row + i], drawn[3, row + i] = gaussian(e1)
"""

_BRIDGES = """\
    for k in range({bridges}):
        row = ({normals} + k) * {lanes}
        for s in range(0, 4, 2):
            two = np.uint64((u >> 2) * 2 + s // 2)
            for i in range(a, b):
                e0, e1 = threefry(two, np.uint64({bridge} + k), key0[i], key1[i])
                drawn[s, row + i] = exponential(e0)
                drawn[s + 1, row + i] = exponential(e1)
"""


def cipher() -> str:
    """The functions from bits to numbers."""
    texts = ["@inlined\n" + inspect.getsource(function) for function in random.TEXTS]
    return "\n\n".join(texts)


def text(normals: int, bridges: int) -> str:
    """The function that draws.

    Parameters
    ----------
    normals : int
        So many normals a step takes: the first rows.
    bridges : int
        So many exponential numbers of mean 1: the rows after them.
    """
    body = _DRAW + (_NORMALS if normals else "") + (_BRIDGES if bridges else "")
    return body.format(normals=normals, bridges=bridges, lanes=LANES, bridge=random.BRIDGE)
