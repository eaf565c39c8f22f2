"""The embedded demo as a stranger runs it, and the README's snippet on its model. (That the task is not trivial, a
linear model staying far below, is shown in `data/test_synthetic_faces.py`.)"""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "mam_keras.fit", str(ROOT / "configs/demo.yaml")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


def test_both_heads_reach_95_percent_balanced_accuracy_on_test(demo):
    heads = json.loads((demo[0] / "runs/demo/evaluation.json").read_text())["splits"]["test"]["heads"]
    assert set(heads) == {"attributes", "multi_label"}
    for head in heads.values():
        assert head["mean"]["balanced_accuracy"] >= 0.95
        assert head["interval"]["balanced_accuracy"][0] > 0.94


def test_run_directory_holds_what_the_readme_lists(demo):
    run = demo[0] / "runs/demo"
    files = {
        "config.yaml",
        "environment.json",
        "model.keras",
        "history.csv",
        "evaluation.json",
        "predictions.npz",
        "data.npz",
        "logs",
    }
    assert {entry.name for entry in run.iterdir()} == files
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    terms = ("attributes_loss", "multi_label_loss", "reconstruction_loss", "mask_loss")
    for row in rows:
        assert float(row["loss"]) == pytest.approx(sum(float(row[term]) for term in terms), rel=1e-5)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 3
    with np.load(run / "predictions.npz", allow_pickle=False) as predictions:
        labels, probabilities = predictions["test.labels"], predictions["test.attributes"]
    reported = json.loads((run / "evaluation.json").read_text())["splits"]["test"]["heads"]["attributes"]["mean"]
    assert ((probabilities >= 0.5) == labels).mean() == pytest.approx(reported["accuracy"], abs=1e-9)
    assert "test: 1,000 images" in demo[1]


def test_snippet_of_the_readme_runs_on_it(demo):
    section = (ROOT / "README.md").read_text().partition("## Use a model")[2]
    snippet = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    check = (
        "assert mask.shape == (1, 16, 16, 32) and maps.shape == (1, 16, 16, 14)\n"
        "again = network.masks.logits(features, a=1.0, b=1.0)\n"
        "np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-5)\n"
        "assert transformed.shape == logits.shape == (1, len(network.targets.names)) == (1, 14)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", snippet + check], cwd=demo[0], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_readme_and_configuration_quote_the_demo_as_its_report_measured_it():
    """`reports/example/figures.json` is written by `make example`, with the page beside it."""
    (measured,) = json.loads((ROOT / "reports/example/figures.json").read_text())
    assert measured["run"] == "demo"
    value = {name: figure["value"] for name, figure in measured["figures"].items()}
    shown = {name: f"{100 * value[name]:.0f} %" for name in ("pointing", "pointing_grad_cam")}
    shown |= {name: f"{value[name]:.1f} times" for name in ("localisation", "localisation_grad_cam")}
    text = " ".join((ROOT / "README.md").read_text().split())
    assert (
        f"`configs/demo.yaml` localises: on all {value['localised']:.0f} attributes the maps have "
        f"{shown['localisation']} the energy of chance inside the region, and in {shown['pointing']} their highest "
        f"position meets it (Grad-CAM: {shown['localisation_grad_cam']}, {shown['pointing_grad_cam']}). "
        f"Balanced accuracy on test is {100 * value['balanced_accuracy']:.1f} %,"
    ) in text
    configuration = " ".join((ROOT / "configs/demo.yaml").read_text().replace("\n# ", " ").split())
    assert f"mean test balanced accuracy {100 * value['balanced_accuracy']:.1f} %" in configuration
    assert f"the maps have {shown['localisation']} the energy of chance" in configuration
