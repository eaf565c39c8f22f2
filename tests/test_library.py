"""`import mam_keras` as a library: what it has, that it is typed, and that it costs nothing until it is asked."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mam_keras
from mam_keras.errors import UserError
from mam_keras.explain.classifier import Classifier, Explanation
from mam_keras.explain.overlay import overlay
from tests.model.examples import random_images

ROOT = Path(__file__).parents[1]
SIZES = {"channels": 5, "front_end": [4], "dilations": [1]}


def test_importing_it_imports_neither_tensorflow_nor_keras():
    program = "import sys, mam_keras\nprint([name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_everything_public_is_annotated():
    assert (ROOT / "mam_keras/py.typed").exists()
    found = [mam_keras.load, mam_keras.build, overlay]
    for kind in (Classifier, Explanation, mam_keras.MaskedHeads):
        found += [kind.__init__] + [
            getattr(one, "fget", one)
            for name, one in vars(kind).items()
            if not name.startswith("_") and (inspect.isfunction(one) or isinstance(one, property))
        ]
    kerass_own = ("build", "call", "compute_output_spec", "get_config")
    lacking = []
    for function in found:
        signature = inspect.signature(function)
        if function.__name__ in kerass_own:
            continue
        bare = [name for name, one in signature.parameters.items() if one.annotation is one.empty and name != "self"]
        if bare or (signature.return_annotation is signature.empty and function.__name__ != "__init__"):
            lacking.append((function.__qualname__, bare))
    assert len(found) > 15 and lacking == []


PROGRAM = """
import numpy as np

import mam_keras

classifier = mam_keras.load("runs/demo")
one = classifier.explain("face.jpg")
several = classifier.explain(["face.jpg", np.zeros((4, 4, 3))])
one.overlay("Smiling").save("smiling.png")
network = mam_keras.build({"model": {"channels": 32}}, ["a", "b"])
heads = mam_keras.MaskedHeads(["a", "b"], sparsity=1e-6)
reveal_type((one, several, network, heads, heads.targets_of(np.zeros((1, 2)))))
mam_keras.load(3)
one.answerd
"""


def test_a_type_checker_knows_it(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    own = ["mam_keras/__init__.py", "mam_keras/explain", "mam_keras/model/heads.py", "mam_keras/data/given.py"]
    command = [sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}/cache", *own, str(tmp_path / "program.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    *found, last = done.stdout.splitlines()
    said = [re.sub(r"^\S+: (?=note|error)", "", line) for line in found if "program.py" in line]
    assert len(said) == len(found) == 3, done.stdout + done.stderr
    explanation = "mam_keras.explain.classifier.Explanation"
    kinds = f"tuple[{explanation}, list[{explanation}], mam_keras.model.network.Network, "
    assert kinds + "mam_keras.model.heads.MaskedHeads, dict[str, numpy.ndarray" in said[0]
    assert "[arg-type]" in said[1] and '"Explanation" has no attribute "answerd"' in said[2]
    assert last.startswith("Found 2 errors in 1 file")


def test_there_is_nothing_else():
    assert sorted(mam_keras.__all__) == ["MaskedHeads", "__version__", "build", "load"]
    with pytest.raises(AttributeError, match="has no attribute 'Masked'"):
        _ = mam_keras.Masked


@pytest.mark.parametrize("system", ["masked", "attention_branch", "plain"])
@pytest.mark.parametrize("exclusive", [False, True])
def test_a_network_is_built_and_trained_by_keras_own_fit(system, exclusive):
    names = ["a", "b", "c"]
    config = {"data": {"image_size": 8}, "model": {"system": system, **SIZES}}
    network = mam_keras.build(config, names, exclusive)
    images = random_images(8, 8, 8, 3)
    labels = np.eye(3)[np.arange(8) % 3] if exclusive else (images.mean(axis=(1, 2)) > 0.5).astype(float)
    if not exclusive:
        labels[0, 1] = np.nan
    targets = network.targets_of(images, labels)
    assert {name: array.shape for name, array in targets.items()} == {
        name: (8, *output.shape[1:]) for name, output in network.model.output.items()
    }
    network.model.compile("adam", **network.losses())
    first, last = (network.model.fit(images, targets, epochs=1, verbose=0).history["loss"][0] for _ in range(2))
    assert np.isfinite([first, last]).all()


def test_every_output_gets_its_own_labels():
    network = mam_keras.build({"data": {"image_size": 8}, "model": SIZES}, ["a b", "c"])
    images, labels = random_images(4, 8, 8, 3), np.array([[0, 1], [1, 0], [1, 1], [0, np.nan]])
    found = network.targets_of(images, labels)
    np.testing.assert_array_equal(found["a_b"], labels[:, :1])
    np.testing.assert_array_equal(found["c"], labels[:, 1:])
    np.testing.assert_array_equal(found["multi_label"], labels)
    np.testing.assert_array_equal(found["reconstruction"], images)
    with pytest.raises(ValueError, match=r"Argument `labels` must be \(n, 2\)"):
        network.targets_of(images, labels[:, 0])


def test_a_configuration_is_a_file_or_its_sections():
    of_file = mam_keras.build(ROOT / "configs/demo.yaml", ["a", "b"])
    assert (of_file.image_size, of_file.channels, of_file.targets.names) == (64, 32, ("a", "b"))
    with pytest.raises(UserError, match=r"^build: model.chanels: unknown key; did you mean 'channels'"):
        mam_keras.build({"model": {"chanels": 3}}, ["a"])
    with pytest.raises(UserError, match=r"^no\.yaml: expected a readable YAML file"):
        mam_keras.build("no.yaml", ["a"])


def test_the_readmes_snippets_of_keras_own_fit():
    section = (ROOT / "README.md").read_text().partition("## Use a model")[2].partition("\n## ")[0]
    _, *snippets = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {}
    exec("\n".join(snippets), names)
    assert len(snippets) == 2 and names["maps"].shape == (32, 16, 16, 2)
