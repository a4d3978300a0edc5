"""The plans of the experiment on late SAM, each against a plain switch of its own."""

from __future__ import annotations

import numpy as np
import pytest

from samdyn.algorithms import GD, SAM, Switch
from samdyn.experiments.networks.zhou_late.training import SETTINGS, switching

pytest.importorskip("torch")

_EPOCHS = 3
_SGD = GD(lr=0.03, momentum=0.9, weight_decay=5e-4)
_SAM = SAM(lr=0.03, rho=0.2, momentum=0.9, weight_decay=5e-4)
_PLAIN = {
    ("SGD", 0): _SGD,
    ("last", 1): Switch([(0, _SGD), (2, _SAM)], unit="epoch"),
    ("last", 2): Switch([(0, _SGD), (1, _SAM)], unit="epoch"),
    ("first", 1): Switch([(0, _SAM), (1, _SGD)], unit="epoch"),
    ("first", 2): Switch([(0, _SAM), (2, _SGD)], unit="epoch"),
    ("SAM", 3): _SAM,
}


def test_one_sweep_trains_each_plan_as_a_switch_of_its_own_does():
    import torch

    from samdyn import networks as nets

    def ends(algorithm):
        data, model = nets.data.digits(dtype=torch.float64), nets.models.mlp(64, 8, 10).double()
        run = nets.train(
            model, data, algorithm, epochs=_EPOCHS, batch_size=128, loss="mse", record=[_EPOCHS]
        )
        return run.final.values

    swept = ends(switching(SETTINGS["mse"], list(_PLAIN), _EPOCHS))
    plain = np.array([ends(algorithm) for algorithm in _PLAIN.values()])
    assert len({row.tobytes() for row in plain}) == len(_PLAIN)  # no two plans are alike
    np.testing.assert_allclose(swept, plain, rtol=0, atol=1e-13)
