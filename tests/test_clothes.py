"""A user's own data as they were published: text classes beside True and False, bare names, no split, few people."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras import config, data

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def clothes(shared, tmp_path_factory):
    """The README's configuration, which is at most ten lines, of the real file."""
    text = (ROOT / "README.md").read_text().partition("    name: clothes\n")[2].partition("\n\n")[0]
    lines = ["name: clothes", *(line.removeprefix("    ") for line in text.splitlines())]
    assert len(lines) <= 10
    path = tmp_path_factory.mktemp("clothes") / "clothes.yaml"
    path.write_text("\n".join(lines).replace("clothes/images.csv", f"{shared('clothes')}/images.csv"))
    return path


def command(name, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", f"mam_keras.{name}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_they_are_read_as_classes_and_as_attributes(clothes, shared):
    settings = config.load(clothes)
    source = data.load(settings.data)
    assert (len(source.attributes), source.targets.exclusive) == (20, True)
    assert sum(map(len, source.splits.values())) == 700
    people = [set(split.groups) for split in source.splits.values()]
    assert len(people) == 3 and len(set.union(*people)) == sum(map(len, people)) == 107
    assert f"{shared('clothes')}/images.csv: left out the columns beside label: kids" in source.notes
    overrides = ["data.class_column=null", "data.group_column=null"]
    kids = data.load(config.load(clothes, overrides).data)
    assert kids.targets == (("kids",), False)
    assert sum(split.labels.sum() for split in kids.splits.values()) == 80
    assert kids.notes == (
        f"{shared('clothes')}/images.csv: left out the columns that do not hold labels: sender_id, label",
    )


def test_they_train_report_and_are_exported(clothes, tmp_path):
    small = ("data.image_size=32", "data.limit=40", "training.epochs=1", "model.channels=8", "model.front_end=[8,8]")
    small += ("evaluation.resamples=20", "analysis.resamples=20", "analysis.examples=2", "analysis.sigmas=[0.0]")
    small += ("analysis.pairs=[[1.0,2.0]]", "analysis.corruptions=[]", "model.dilations=[1]")
    sets = [part for setting in small for part in ("--set", setting)]
    run = tmp_path / "run"
    command("fit", clothes, "--run", run, *sets)
    test = json.loads((run / "evaluation.json").read_text())["splits"]["test"]
    assert (test["images"], test["resampled"]) == (40, "groups")
    command("report", run, "--out", tmp_path / "page")
    assert "Longsleeve" in (tmp_path / "page/index.html").read_text(encoding="utf-8")
    command("export", run, "--out", tmp_path / "served")
    described = json.loads((tmp_path / "served/1/assets.extra/mam_keras.json").read_text())
    assert "Longsleeve" in json.dumps(described)
