"""Linear regressions that fit their data, for the tests of this folder."""

import numpy as np

import samdyn as sd


def regression(inputs, minimiser=None):
    """Half the mean squared error of a.w against the outputs of a minimiser."""
    d = inputs.shape[1]
    names = [f"w{j}" for j in range(d)]
    output = " + ".join(f"a{j}*{name}" for j, name in enumerate(names))
    best = np.zeros(d) if minimiser is None else np.asarray(minimiser, float)
    data = {f"a{j}": inputs[:, j] for j in range(d)} | {"t": inputs @ best}
    return sd.Loss(f"({output} - t)**2/2", names, data=data)
