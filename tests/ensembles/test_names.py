"""Names that the kernel uses itself may be the user's too."""

import numpy as np

import samdyn as sd


def test_constants_called_like_thresholds_and_sums():
    loss = sd.Loss(
        "count*x**2/2 - event0_radius*y**2/2",
        variables="x y",
        count=2.0,
        event0_radius=0.5,
    )
    system = sd.Map(loss, sd.GD(lr=0.1))
    run = sd.simulate(
        system,
        [0.5, 0.5],
        10,
        until=sd.Escape(center=(0, 0), radius=50.0),
        statistics={"z": "x"},
    )
    np.testing.assert_array_equal(run.final, system.apply([0.5, 0.5], 10))
    assert run.reason == 0
    np.testing.assert_allclose(run.final, [0.5 * 0.8**10, 0.5 * 1.05**10])


def test_variables_called_like_the_generated_code():
    loss = sd.Loss("row**2 + table**2/2 + i**2/3 + v0**2/4")
    system = sd.Map(loss, sd.SAM(lr=0.1, rho=0.01))
    start = np.linspace(0.1, 0.4, 4)
    run = sd.simulate(system, start, 20)
    assert list(run.coord.values) == ["i", "row", "table", "v0"]
    np.testing.assert_array_equal(run.final, system.apply(start, 20))
