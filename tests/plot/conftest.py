import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from samdyn.plot import STYLE

mpl.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(params=[3.3, 7.0], ids=["column", "page"])
def paper(request):
    """Axes of a figure as wide as a paper's column, or its page; drawn at the end."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(request.param, 3.4))
        yield figure.subplots()
        figure.canvas.draw()
