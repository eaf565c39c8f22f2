"""What `pip install` of the wheel alone gives: the demo in an empty folder, without the packages of any extra."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from mam_keras.extras import EXTRAS
from mam_keras.extras import __name__ as extras_name

ROOT = Path(__file__).parents[1]
MODULES = {  # of distributions whose modules are called otherwise
    "importlib-resources": "importlib_resources",
    "keras-tuner": "keras_tuner",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "tensorflow-datasets": "tensorflow_datasets",
    "tensorflow-serving-api": "tensorflow_serving",
    "typing-extensions": "typing_extensions",
}
BROUGHT = {"jinja2": "markupsafe", "pydantic": "pydantic_core", "keras_tuner": "grpc"}  # by what is declared
SMALL = ("data.train=64", "data.validation=24", "data.test=24", "data.image_size=32", "training.epochs=1")
SMALL += ("model.front_end=[8,8]", "model.channels=8", "analysis.sigmas=[0.0]", "analysis.pairs=[[1.0,2.0]]")
SMALL += ("evaluation.resamples=20", "analysis.resamples=20", "analysis.examples=2", "analysis.corruptions=[]")


def modules_of(requirements):
    names = [re.match(r"[\w-]+", one)[0] for one in requirements]
    found = {MODULES.get(name, name) for name in names}
    return found | {BROUGHT[name] for name in found & BROUGHT.keys()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel of this checkout installs, built from a copy of its files."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if name.split("/")[0] in ("mam_keras", "configs", "pyproject.toml", "README.md", "LICENSE"):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name, follow_symlinks=False)
    build = "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"
    command = [sys.executable, "-m", *build, str(folder), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_carries_all_that_is_no_code(installed):
    package = installed / "mam_keras"
    for name in ("py.typed", "configs/demo.yaml", "configs/celeba_small.yaml", "configs/studies/stages.yaml"):
        assert (package / name).is_file(), name
    tracked = subprocess.run(["git", "ls-files", "mam_keras"], cwd=ROOT, capture_output=True, text=True, check=True)
    lacking = [name for name in tracked.stdout.split() if not (installed / name).exists()]
    assert lacking == []


def test_the_demo_runs_in_an_empty_folder_without_any_extra(installed, tmp_path):
    blocked = [module for modules in EXTRAS.values() for module in modules]
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"
        f"sys.argv = ['mam-keras', 'demo', *{[part for one in SMALL for part in ('--set', one)]!r}]\n"
        "import mam_keras.__main__\n"
        f"assert mam_keras.__file__.startswith({str(installed)!r})\n"
        "mam_keras.__main__.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/demo/evaluation.json").exists() and (tmp_path / "reports/demo/index.html").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["reports", "runs"]


def test_every_import_is_declared():
    """In the dependencies, or in an extra that is asked for before."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name, modules in EXTRAS.items():
        assert set(modules) <= modules_of(extras[name])
    base = modules_of(project["dependencies"]) | set(sys.stdlib_module_names) | {"mam_keras"}
    undeclared = set()
    for path in (ROOT / "mam_keras").rglob("*.py"):
        imported = set(re.findall(r"^ *(?:import|from) (\w+)(?= import|\.|$| as|,)", path.read_text(), re.MULTILINE))
        room = path.relative_to(ROOT / "mam_keras").parts
        asked = {"export": "serve", "tune": "tune", "tfds.py": "tfds", "direct": "direct"}
        extra = next((asked[part] for part in room if part in asked), None)
        allowed = base | (modules_of(extras[extra]) if extra in extras else set())
        undeclared |= {(str(path.relative_to(ROOT)), name) for name in imported - allowed}
    assert undeclared == set()


@pytest.mark.parametrize(
    ("arguments", "what", "extra"),
    [
        (["export", "{run}"], "mam-keras export", "serve"),
        (["tune", "{root}/configs/demo.yaml"], "mam-keras tune", "tune"),
        (["fit", "tfds.yaml"], "data.source: tfds", "tfds"),
    ],
)
def test_a_missing_extra_is_asked_for_in_one_line(tmp_path, arguments, what, extra):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/evaluation.json").touch()
    (tmp_path / "tfds.yaml").write_text("name: x\ndata: {source: tfds, directory: nowhere}\n")
    arguments = [part.format(run=tmp_path / "run", root=ROOT) for part in arguments]
    program = (
        f"import sys, {extras_name} as extras\n"
        "extras.EXTRAS = dict.fromkeys(extras.EXTRAS, ('not_installed',))\n"
        f"sys.argv = ['mam-keras', *{arguments!r}]\n"
        "from mam_keras.__main__ import main\n"
        "main()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {what}: expected the packages of the extra {extra}: pip install 'mam_keras[{extra}]'. "
        "Received: no not_installed\n"
    )
