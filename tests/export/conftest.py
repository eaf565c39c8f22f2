import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras import config
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.files import write_json
from mam_keras.run_directory import RunDirectory
from tests.export.client import Client
from tests.export.encoded import encode, picture

ATTRIBUTES = ("Smiling", "Eyeglasses", "Mustache", "Wearing_Hat", "Bangs")
SAVING = "__array__ implementation doesn't accept a copy"  # Keras's way of saving, as NumPy 2 sees it


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory):
    """A finished run of the smallest model: 32x32 images, features 8x8 with 8 channels, 5 attributes."""
    from mam_keras.fit.run import run

    settings = config.check(
        {
            "name": "tiny",
            "data": {
                "source": "synthetic_faces",
                "train": 64,
                "validation": 40,
                "test": 16,
                "image_size": 32,
                "attributes": ATTRIBUTES,
            },
            "model": {"channels": 8, "front_end": (8, 8), "dilations": (1, 2)},
            "training": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2, "xla": "off"},
            "evaluation": {"resamples": 20},
            "analysis": {"sigmas": (0.0, 0.1, 0.3), "pairs": ((0.5, 2.0), (2.0, 2.0), (1.0, 4.0))},
        },
        "tests/export",
    )
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    with directory.open(settings, overwrite=False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", SAVING, DeprecationWarning)
        run(settings, directory)
    return directory


@pytest.fixture(scope="session")
def network(run_directory):
    """The run's network, its masks driven away from 1/2, where no transformation would change them. Saved so."""
    network = TrainedRun(run_directory.path).network
    loaded = network.model
    kernel = loaded.get_layer("attribute_scores").mask_kernel
    kernel.assign(kernel * 8.0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SAVING, DeprecationWarning)
        loaded.save(run_directory.model)
    as_before(run_directory)
    return network


def as_before(directory):
    """A run of an earlier version, which does not know what its files held."""
    environment = json.loads(directory.environment.read_text())
    del environment["files"]
    write_json(directory.environment, environment)


@pytest.fixture(scope="session")
def exported(run_directory, network):
    """`python -m mam_keras.export` on the run: the version's path, the description beside it, what was printed."""
    command = [sys.executable, "-m", "mam_keras.export", str(run_directory.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    path = run_directory.path / "saved_model" / "1"
    description = json.loads((path / "assets.extra" / "mam_keras.json").read_text())
    return SimpleNamespace(path=path, description=description, printed=done.stdout)


@pytest.fixture(scope="session")
def server(exported):
    """The stand-in for TF Serving: its ports and its process. It must still be there when all tests are done."""
    command = [sys.executable, str(Path(__file__).parent / "stand_in.py"), str(exported.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        ports = json.loads(process.stdout.readline())
        yield SimpleNamespace(grpc=f"localhost:{ports['grpc']}", rest=f"localhost:{ports['rest']}", process=process)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=20) == 0


@pytest.fixture(scope="session")
def client(server):
    return Client(server.grpc)


@pytest.fixture(scope="session", params=["drawn", "real"])
def photographs(request):
    """Encoded JPEGs: 20 drawn ones of several shapes, or 200 real faces."""
    if request.param == "drawn":
        return [encode(picture(60 + 7 * seed, 150 - 5 * seed, seed), "JPEG") for seed in range(20)]
    folder = request.getfixturevalue("real_faces") / "img_align_celeba"
    return [path.read_bytes() for path in sorted(folder.iterdir())[:200]]


@pytest.fixture(scope="session")
def prepared(photographs):
    """The same, prepared: uint8 (n, 32, 32, 3)."""
    from mam_keras.data.images import prepare, read

    return np.stack([prepare(read(photograph)[0], 32).numpy() for photograph in photographs])
