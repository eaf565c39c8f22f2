"""What tests of all parts need."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_faces() -> Path:
    """The folder of real CelebA images in the official layout, beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "celeba"
    if not folder.is_dir():
        reason = "real faces are missing: expected CelebA's official layout in ../shared/celeba"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return folder
