"""Kernels of the tests are kept from one run to the next."""

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("samdyn", deadline=None, max_examples=40, derandomize=True)
hypothesis.settings.load_profile("samdyn")


@pytest.fixture(scope="session", autouse=True)
def kernel_folder():
    """Where kernels are compiled to: not the user's own cache."""
    folder = Path(tempfile.gettempdir()) / "samdyn-tests"
    before = os.environ.get("SAMDYN_CACHE_DIR")
    os.environ["SAMDYN_CACHE_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["SAMDYN_CACHE_DIR"]
    else:
        os.environ["SAMDYN_CACHE_DIR"] = before
