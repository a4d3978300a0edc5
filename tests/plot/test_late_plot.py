"""The picture of a run late in training."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import samdyn as sd
from samdyn.analysis.late.observed import diagnostics
from samdyn.analysis.late.phases import two_phase
from samdyn.plot.late import late


@pytest.fixture(scope="module")
def run():
    switch = sd.Switch([(0, sd.GD(lr=2.5)), (20, sd.SAM(lr=2.5, rho=0.05))])
    system = sd.Map(sd.losses.tanh_network(), switch)
    return sd.simulate(system, np.array([[1.6, 0.3], [1.2, -0.2]]), 60, record=1, progress=False)


def test_all_panels_show_what_was_measured(run):
    found, phases = diagnostics(run), two_phase(run)
    axes = late(found, phases)
    assert [ax.get_ylabel() for ax in axes[:3]] == [
        "loss",
        "sharpness",
        "distance from where\nthe phase began",
    ]
    assert axes[0].get_yscale() == "log"
    for ax, name in zip(axes, ("loss", "top_eigenvalue", "switch_distance"), strict=False):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), found[name].isel(particle=0))
        np.testing.assert_array_equal(ax.lines[1].get_ydata(), found[name].isel(particle=1))
    edges = [line for line in axes[1].lines if np.allclose(line.get_ydata(), 0.8)]
    assert len(edges) == 1
    fits = [line.get_ydata() for line in axes[0].lines[-2:]]
    np.testing.assert_array_equal(fits, phases.fit)
    switch = [line for line in axes[0].lines if set(line.get_xdata()) == {20}]
    assert len(switch) == 1
    axes[0].figure.canvas.draw()


def test_axes_are_taken_and_refused(run):
    found = diagnostics(run.isel(particle=0))
    _, axes = plt.subplots(4)
    assert list(late(found, ax=axes, legend=False)) == list(axes)
    assert all(ax.get_legend() is None for ax in axes)
    with pytest.raises(ValueError, match="ax must be 4 Axes"):
        late(found, ax=axes[:2])
    with pytest.raises(TypeError, match="found must be a result of samdyn.diagnostics"):
        late(run.loss)
    with pytest.raises(ValueError, match=r"phases must be a result of samdyn\.two_phase"):
        late(found, run)


def test_the_fit_of_a_mean_lies_over_the_mean(run):
    three = run.isel(particle=[0, 0, 1])
    axes = late(diagnostics(three), two_phase(three, over="particle"))
    mean = run.loss.isel(particle=[0, 0, 1]).mean("particle")
    assert any(np.array_equal(line.get_ydata(), mean) for line in axes[0].lines)


def test_phases_of_other_clocks_are_refused():
    system = sd.Map(sd.losses.tanh_network(), sd.USAM(lr=2.5, rho=0.5))
    run = sd.simulate(system, [1.3, 1e-4], 60, record=1, progress=False)
    phases = sd.two_phase(run)
    aligned = phases.assign(start=-1 + 0 * phases.start)
    with pytest.raises(ValueError, match="from each particle's own switch"):
        sd.plot.late(sd.diagnostics(run), aligned)
