"""A small run to direct, and regions for it."""

import shutil

import pytest

REGIONS = """
attributes:
  Smiling: {rectangles: [[0.35, 0.5, 0.65, 0.75]]}
  Eyeglasses: {presets: [eyes]}
  Wearing_Hat: {polygons: [[[0.2, 0.0], [0.8, 0.0], [0.5, 0.3]]]}
"""


@pytest.fixture(scope="module")
def before(small_run, tmp_path_factory):
    """A copy of the small run, in a folder of runs of the module's own."""
    return shutil.copytree(small_run, tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def regions(tmp_path_factory):
    path = tmp_path_factory.mktemp("regions") / "regions.yaml"
    path.write_text(REGIONS)
    return path
