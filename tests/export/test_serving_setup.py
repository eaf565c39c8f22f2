"""The README's clients, the health check and the container. Where there is no Docker engine, the clients talk to the
stand-in (`stand_in.py`), which is not TF Serving."""

import functools
import json
import re
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tests.export.client import Client
from tests.export.encoded import encode, picture
from tests.export.test_signatures import TAKING_PAIRS, expected, inputs_of, pairs

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "configs" / "serving"
GRPC, REST = "localhost:8500", "localhost:8501"  # as the README writes them


@functools.cache
def snippets():
    """The README's section on serving: the code of its blocks, by language."""
    section = re.search(r"^## Serve\n(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)[1]
    return {language: re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL) for language in ("sh", "python")}


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """A folder with the README's face.jpg."""
    folder = tmp_path_factory.mktemp("face")
    (folder / "face.jpg").write_bytes(encode(picture(218, 178), "JPEG"))
    return folder


def run_snippets(addresses, exported, folder):
    """Runs the README's two clients in `folder` and returns what they say: curl's JSON, and Python's lines."""
    (shell,) = [code for code in snippets()["sh"] if "curl" in code]
    (python,) = snippets()["python"]
    said = []
    for command, code in (("bash", shell), (sys.executable, python)):
        for written, address in (
            (GRPC, addresses[0]),
            (REST, addresses[1]),
            ("runs/demo/saved_model/1", exported.path),
        ):
            code = code.replace(written, str(address))
        done = subprocess.run([command, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    return json.loads(said[0]), said[1]


def check_snippets(addresses, exported, folder):
    client, content = Client(addresses[0]), (folder / "face.jpg").read_bytes()
    rest, python = run_snippets(addresses, exported, folder)
    (row,) = rest["predictions"]
    answer = client.predict("classify_transformed_bytes", image_bytes=[content], a=[1.0], b=[4.0])
    assert row["valid"] is True
    np.testing.assert_allclose(row["probabilities"], answer["probabilities"][0], atol=1e-6)
    said = dict(re.findall(r"^(\S+) (\d\.\d\d)$", python, re.MULTILINE))
    assert list(said) == exported.description["attributes"]
    np.testing.assert_allclose([float(p) for p in said.values()], answer["probabilities"][0], atol=0.0051)


def test_the_clients_of_the_readme_against_the_stand_in(server, exported, face):
    check_snippets((server.grpc, server.rest), exported, face)


def health(port):
    return subprocess.run(
        ["bash", SETTINGS / "healthy.sh", str(port)], capture_output=True, timeout=20, check=False
    ).returncode


def test_the_health_check_sees_an_available_version(server):
    assert health(server.rest.partition(":")[2]) == 0


@pytest.mark.parametrize("status, state", [(200, "LOADING"), (200, "UNAVAILABLE"), (404, None)])
def test_the_health_check_sees_that_none_is_available(status, state):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"model_version_status": [{"version": "1", "state": state}]}).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as answering:
        Thread(target=answering.serve_forever, daemon=True).start()
        assert health(answering.server_port) != 0
        answering.shutdown()
        port = answering.server_port
    assert health(port) != 0  # nobody there at all


def test_the_image_of_tf_serving_is_not_older_than_our_tensorflow():
    (tag,) = re.findall(r"^ARG TF_SERVING=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    (least,) = re.findall(r'^ +"tensorflow>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    (tested,) = re.findall(r"^tensorflow(?:[_-]cpu)?==([\d.]+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    serving, least, tested = ([int(part) for part in version.split(".")[:2]] for version in (tag, least, tested))
    assert serving >= tested >= least


def test_what_the_server_is_told_to_read_is_in_its_image():
    serve = (ROOT / "Dockerfile").read_text().partition(" AS serve\n")[2]
    copied = re.search(r"^COPY configs/serving (\S+)$", serve, re.MULTILINE)[1]
    for name in re.findall(rf"{copied}/([\w.]+)", serve):
        assert (SETTINGS / name).is_file()
    assert len(re.findall(rf"{copied}/", serve)) == 3


# --- the container itself ---


@pytest.fixture(scope="module")
def container(exported):
    """TF Serving in its container, with the run's model: the addresses of its two interfaces."""

    def docker(*arguments, check=True):
        return subprocess.run(
            ["docker", *map(str, arguments)], capture_output=True, text=True, check=check
        ).stdout.strip()

    try:
        docker("info")
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        pytest.skip(f"the container of TF Serving needs a Docker engine: {reason}")
    docker("build", "--target", "serve", "--tag", "mam_keras:test", ROOT)
    volume = f"{exported.path.parent}:/models/mam:ro"
    name = docker("run", "--detach", "--publish", "8500", "--publish", "8501", "--volume", volume, "mam_keras:test")
    try:
        state = None
        for _ in range(90):
            state = docker("inspect", "--format", "{{.State.Health.Status}}", name)
            if state == "healthy":
                break
            time.sleep(1)
        assert state == "healthy", docker("logs", name)
        yield [docker("port", name, port).splitlines()[0] for port in (8500, 8501)]
    finally:
        docker("rm", "--force", name, check=False)


def test_tf_serving_answers_as_keras_does(container, network, exported, face):
    images = [encode(picture(90 + seed, 70, seed), "PNG") for seed in range(4)]
    from mam_keras.data.images import prepare, read

    prepared = np.stack([prepare(read(image)[0], 32).numpy() for image in images])
    wanted = expected(network, prepared, *pairs(4))
    client = Client(container[0])
    for name in TAKING_PAIRS:
        for key, value in client.predict(name, **inputs_of(name, images, prepared)).items():
            np.testing.assert_allclose(value, wanted[key], rtol=0, atol=1e-4, err_msg=key)
    check_snippets(container, exported, face)
