"""Data that change between two commands: what meets them goes on where they are the same, or refuses in one line.

A column, a label, an image's content, the order of rows, the folder and the working directory are changed in turn, and
each is met by resume, `report`, `export`, `study`, `tune` and the disk cache.
"""

import csv
import json
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from mam_keras import analysis, config, data
from mam_keras.analysis.other_data import opened
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data import pipeline
from mam_keras.errors import UserError
from mam_keras.export import run as exporting
from mam_keras.fit.run import run as fit
from mam_keras.report.run import run as report
from mam_keras.run_directory import RunDirectory
from mam_keras.search_directory import SearchDirectory
from mam_keras.study import plan as plans
from mam_keras.study import run as study_run
from mam_keras.study.study_directory import StudyDirectory
from mam_keras.tune import run as tune_run
from mam_keras.tune.space import dimensions

NAMES = ("square", "stripe", "dim")
SPLITS = ("train", "train", "validation", "test")
SETTINGS = """
name: t
data: {source: table, file: data/table.csv, split_column: split, group_column: who, image_size: 16, flip: false}
model: {channels: 4, front_end: [4, 4], dilations: [1]}
training: {epochs: 1, batch_size: 8, warmup_epochs: 0, learning_rate: 1e-2, xla: "off"}
evaluation: {resamples: 20, batch_size: 8}
analysis: {resamples: 20, sigmas: [0.0, 0.2], corruptions: [], pairs: [[1.0, 2.0]], examples: 2}
"""


def draw(folder, seed=3, count=64, splits=SPLITS):
    """FOLDER/images/*.bmp and FOLDER/table.csv: labels that can be learnt, people with four images each."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = [["image", *NAMES, "who", "split"]]
    for number in range(count):
        labels = random.random(3) < 0.5
        picture = random.integers(90, 120, (16, 16, 3)).astype(np.uint8)
        picture[2:7, 2:7] += 100 * np.uint8(labels[0])
        picture[11:14] += 100 * np.uint8(labels[1])
        Image.fromarray(picture // (1 + np.uint8(labels[2]))).save(folder / f"images/{number:02}.bmp")
        split = splits[number // 4 % len(splits)]
        rows.append([f"images/{number:02}.bmp", *labels.astype(int).tolist(), f"person {number // 4}", split])
    write_table(folder, rows)


def read_table(folder):
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.reader(file))


def write_table(folder, rows):
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with t.yaml, data/ and two states of one run: finished/, and begun/, stopped after its only epoch."""
    folder = tmp_path_factory.mktemp("trained")
    draw(folder / "data")
    (folder / "t.yaml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings, directory = config.load("t.yaml"), RunDirectory("finished")
        patch.setattr(RunDirectory, "remove_checkpoints", lambda self: None)
        with directory.open(settings, overwrite=False):
            fit(settings, directory)
        shutil.copytree("finished", "begun")
        shutil.rmtree("finished/checkpoints")
        for name in ("evaluation.json", "model.keras", "predictions.npz"):
            (folder / "begun" / name).unlink()
        found = exported(folder / "finished", patch)  # its rule is computed where the data are as they were
        (folder / "exported.json").write_text(json.dumps(found))
        shutil.copytree("finished", "looked")
        shutil.rmtree("finished/analysis")
    return folder


@pytest.fixture
def work(trained, tmp_path, monkeypatch):
    """A copy of `trained`, and the working directory."""
    shutil.copytree(trained, tmp_path / "work")
    for state in ("finished", "begun", "looked"):  # they were trained in this folder, as far as they can tell
        file = tmp_path / "work" / state / "environment.json"
        file.write_text(file.read_text().replace(str(trained), str(tmp_path / "work")))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


# --- what changes ---


def nothing(work):
    return []


def columns(work):
    """As a spreadsheet or pandas may leave them, and one that the run does not know."""
    rows = read_table(work / "data")
    order = [0, 3, 1, 4, 2, 5]
    write_table(work / "data", [[row[at] for at in order] + ["1" if n else "new"] for n, row in enumerate(rows)])
    return []


def rows(work):
    header, *others = read_table(work / "data")
    write_table(work / "data", [header, *others[::-1]])
    return []


def folder(work):
    (work / "data").rename(work / "moved")
    return ["data.file=moved/table.csv"]


def working_directory(work):
    (work / "elsewhere").mkdir()
    os.chdir(work / "elsewhere")
    return []


def saved_again(work):
    """The same pixels in another file: as a PNG with the same name."""
    for file in (work / "data/images").iterdir():
        Image.open(file).save(file, "PNG")
    return []


def labels(work):
    write_table(
        work / "data", [[*r[:3], "10"[int(r[3])] if r[3] in "01" else r[3], *r[4:]] for r in read_table(work / "data")]
    )
    return []


def people(work):
    table = read_table(work / "data")
    write_table(
        work / "data", [table[0], *([*row[:4], f"{row[4]} {n % 2}", row[5]] for n, row in enumerate(table[1:]))]
    )
    return []


def contents(work):
    """Another picture of the same name, size and time, one in each split."""
    for number in (0, 8, 12):
        file = work / f"data/images/{number:02}.bmp"
        before = file.stat()
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_size == before.st_size
    return []


def gone(work):
    write_table(work / "data", [row for row in read_table(work / "data") if row[0][-6:-4] not in ("00", "08", "12")])
    return []


def new(work):
    for number, split in ((90, "train"), (91, "validation"), (92, "test")):
        shutil.copy(work / "data/images/00.bmp", work / f"data/images/{number}.bmp")
        write_table(work / "data", [*read_table(work / "data"), [f"images/{number}.bmp", 1, 0, 1, "another", split]])
    return []


def a_column_less(work):
    write_table(work / "data", [row[:3] + row[4:] for row in read_table(work / "data")])
    return []


SAME = (nothing, columns, rows, folder, working_directory, saved_again)
OTHER = {
    labels: r"16 labels of dim differ",
    people: r"8 images of other groups \(images/\d\d.bmp, ",
    contents: r"1 image with other content \(images/\d\d.bmp\)",
    gone: r"1 image missing \(images/\d\d.bmp\)",
    new: r"1 image new \(images/9\d.bmp\)",
    a_column_less: r"no labels of dim, but of square, stripe",
}


# --- who meets it ---


def resume(work, overrides, patch):
    """Predictions of the run that was carried on."""
    settings, directory = config.load(work / "t.yaml", overrides), RunDirectory(work / "begun")
    with directory.open(settings, overwrite=False):
        fit(settings, directory)
    return answers(work / "begun")


def answers(run):
    with np.load(run / "predictions.npz") as found:
        return {name: found[name].tolist() for name in found.files}


def examined(work, overrides, patch):
    """By the kept answers each attribute's accuracy, and by looking at the images again balanced accuracy."""
    results, missing = analysis.compute_missing(opened(work / "finished", overrides), names=("accuracy", "noise"))
    assert not missing
    found = results["accuracy"]
    by_name = dict(zip(found.values["attributes"], found.arrays["attributes.accuracy"][:, 0].tolist(), strict=True))
    return by_name | {"balanced": float(results["noise"].arrays["balanced_accuracy"][0])}


def exported(run, patch):
    """What is written: attributes, thresholds, and the rule's offsets."""
    written = []
    patch.setattr(exporting, "write", lambda *given: written.append(given) or ("1", []))
    exporting.run(RunDirectory(run), run / "saved_model")
    ((_, description, _, rule, _),) = written
    return [description["attributes"], description["thresholds"], rule and rule.offsets.tolist()]


def study(work, overrides, patch):
    """Whether a study that has the run would train what it lacks, to compare them."""
    values = {"name": "s", "base": str(work / "t.yaml"), "baseline": "kept", "runs": {"kept": {}, "new": {"seed": 1}}}
    (work / "study.yaml").write_text(yaml.safe_dump(values))
    plan, directory = plans.load(work / "study.yaml", overrides), StudyDirectory(work / "study")
    run = directory.run("kept")
    shutil.copytree(work / "finished", run.path)
    run.write_config(config.load(run.config).model_copy(update={"name": "kept"}))
    started = []
    patch.setattr(study_run.training, "train_missing", lambda *given: started.append(given) or {})
    study_run.train(plan, directory)
    return len(started) == 1


def tune(work, overrides, patch):
    """Whether a search that has the run as its only trial would go on."""
    directory, settings = SearchDirectory(work / "search"), config.load(work / "t.yaml", [*overrides, "tune.trials=2"])
    shutil.copytree(work / "finished", directory.trial(1))
    directory.state.touch()
    over = {"0": SimpleNamespace(trial_id="0", hyperparameters=SimpleNamespace(values={"loss.lambda": 1e-6}))}
    oracle = SimpleNamespace(end_order=["0"], trials=over, reload=lambda: None)
    patch.setattr(tune_run, "make_oracle", lambda *given: oracle)
    patch.setattr(tune_run, "outcome", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # the trial is taken as it is
        tune_run.run(settings, dimensions(settings, "t.yaml"), directory, "alone")
    return True


def refused(command, work, overrides, patch):
    with pytest.raises(UserError) as caught:
        command(work, overrides, patch)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("change", SAME)
def test_a_run_is_carried_on_where_its_data_are_the_same(trained, work, monkeypatch, change):
    assert resume(work, change(work), monkeypatch) == answers(trained / "finished")


@pytest.mark.parametrize("change", OTHER)
def test_a_run_is_not_carried_on_with_other_data_and_nothing_is_lost(trained, work, monkeypatch, change):
    shutil.copytree("data", "as it was")
    message = refused(resume, work, change(work), monkeypatch)
    assert re.search(OTHER[change], message) and message.endswith("put them back, or --overwrite trains anew")
    shutil.rmtree("data")
    shutil.move("as it was", "data")
    assert resume(work, [], monkeypatch) == answers(trained / "finished")


@pytest.mark.parametrize("change", SAME)
def test_a_report_goes_on_where_the_data_are_the_same(work, monkeypatch, change):
    evaluated = json.loads((work / "finished/evaluation.json").read_text())["splits"]["test"]["heads"]["attributes"]
    expected = {name: values["accuracy"] for name, values in evaluated["per_attribute"].items()}
    expected["balanced"] = evaluated["mean"]["balanced_accuracy"]
    assert examined(work, change(work), monkeypatch) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("change", OTHER)
def test_a_report_is_refused_on_other_data(work, monkeypatch, change):
    message = refused(examined, work, change(work), monkeypatch)
    assert re.search(OTHER[change], message) and message.endswith("or evaluate them apart by report --data")


@pytest.mark.parametrize("change", [*SAME, *OTHER])
def test_an_export_holds_what_was_chosen_on_the_runs_own_images_and_nothing_else(
    trained, work, monkeypatch, capsys, change
):
    change(work)
    expected = json.loads((trained / "exported.json").read_text())
    assert json.loads(json.dumps(exported(work / "looked", monkeypatch))) == expected
    capsys.readouterr()
    found, out = json.loads(json.dumps(exported(work / "finished", monkeypatch))), capsys.readouterr().out
    if change in SAME and change is not folder:
        assert found == expected
    else:  # which only the images can tell
        assert found == [*expected[:2], None]
        why = OTHER.get(change, "data/table.csv: expected a readable file")
        assert re.search(rf"note: classify_automatic is left out: .*{why}", out)


@pytest.mark.parametrize("command", [study, tune])
@pytest.mark.parametrize("change", [*SAME, *OTHER])
def test_runs_of_other_data_are_not_compared(work, monkeypatch, command, change):
    overrides = change(work)
    reasons = OTHER | {saved_again: r"16 images with other content"}  # for they are compared by their files
    reasons[working_directory] = r"^data/table.csv: expected a readable file"
    if change in reasons:
        assert re.search(reasons[change], refused(command, work, overrides, monkeypatch))
    else:
        assert command(work, overrides, monkeypatch)


@pytest.mark.parametrize("change", [*SAME, *OTHER])
def test_the_disk_cache_holds_the_images_of_today(work, change):
    def split(place, **values):
        settings = config.load(work / "t.yaml", [f"data.file={work / place / 'table.csv'}"]).data
        source = data.load(settings.model_copy(update=values))
        return pipeline.read(source.splits["test"], "test", settings.model_copy(update=values))

    cached = {"cache": "disk", "cache_directory": str(work / "cache")}
    split("data", **cached)
    place = "moved" if change(work) else "data"
    expected, found = split(place), split(place, **cached)
    np.testing.assert_array_equal(found.images, expected.images)
    assert found.ids.tolist() == expected.ids.tolist()


# --- runs of earlier versions ---


def test_a_run_that_did_not_note_its_data_goes_by_its_answers(work, monkeypatch):
    (work / "finished/data.npz").unlink()
    assert len(examined(work, rows(work), monkeypatch)) == 4
    shutil.rmtree(work / "finished/analysis")
    labels(work)
    assert OTHER[labels] in refused(examined, work, [], monkeypatch)


def test_a_training_that_did_not_note_its_data_is_carried_on_and_says_so(trained, work, monkeypatch, capsys):
    (work / "begun/data.npz").unlink()
    assert resume(work, [], monkeypatch) == answers(trained / "finished")
    assert "note: an earlier version began this run and did not note its images" in capsys.readouterr().out
    assert not (work / "begun/data.npz").exists()


# --- other data ---


@pytest.fixture
def other(work):
    """other/table.csv, of test and validation images that the run never saw, without "dim" and with another column."""
    draw(work / "other", seed=4, splits=("validation", "test"))
    table = read_table(work / "other")
    write_table(
        work / "other",
        [["image", "stripe", "hat", "square", "who", "split"]] + [[r[0], r[2], r[3], r[1], *r[4:]] for r in table[1:]],
    )
    (work / "other.yaml").write_text(
        "data: {source: table, file: other/table.csv, split_column: split, group_column: who}"
    )
    return work / "other.yaml"


def test_other_data_are_evaluated_anew_and_apart(work, other):
    before = answers(work / "finished")
    report([work / "finished"], data=other)
    page = (work / "reports/finished-on-other/index.html").read_text()
    assert "64 images" not in page
    for words in (
        "other (the user&#39;s own table of images): 32 images of validation, 32 images of test",
        "the network was trained on none of them",
        "labels of what these data do not have are not known: dim",
        "left out, which the run does not answer: hat",
        "32 test images from ",
        " of other data than it was trained with",
    ):
        assert words in page
    (kept,) = (work / "finished/analysis/other_data").iterdir()
    assert sorted(file.name for file in (work / "finished/analysis").iterdir()) == ["other_data"]
    assert answers(work / "finished") == before

    run, found = TrainedRun(work / "finished"), answers(kept)
    images = np.stack([np.asarray(Image.open(work / "other" / name)) for name in found["test.ids"]])
    expected = run.network.probabilities(run.network.logits(images.astype(np.float32) / 255))
    np.testing.assert_allclose(found["test.attributes"], expected, atol=1e-5)
    table = {row[0]: row for row in read_table(work / "other")}
    for name, label, known in zip(found["test.ids"], found["test.labels"], found["test.known"], strict=True):
        assert label[:2] == [table[name][3] == "1", table[name][1] == "1"] and known == [True, True, False]
    (figures,) = json.loads((work / "reports/finished-on-other/figures.json").read_text())
    right = (np.array(found["test.attributes"]) >= 0.5) == np.array(found["test.labels"])
    assert figures["figures"]["accuracy"]["value"] == pytest.approx(right[:, :2].mean())

    names = {file: file.stat().st_mtime_ns for file in kept.iterdir()}
    report([work / "finished"], data=other)
    assert names == {file: file.stat().st_mtime_ns for file in kept.iterdir()}  # nothing was computed again


def test_overrides_that_lead_to_other_images_are_other_data(work, other, capsys):
    run = opened(work / "finished", ["data.file=other/table.csv", "analysis.resamples=5"])
    assert (run.name, run.config.analysis.resamples) == ("table", 5)
    assert "note: these are not the data that the run was trained on: no labels of dim" in capsys.readouterr().out
    assert len(run.predictions("test").ids) == 32
    run = opened(work / "finished", ["data.limit=8"])
    assert "validation: 8 images missing" in capsys.readouterr().out
    assert len(run.predictions("test").ids) == len(run.images("test")) == 8
    assert "the network was trained on none of them" in run.described


@pytest.mark.parametrize("override", ["data.image_size=32", "data.fit=pad"])
def test_images_are_prepared_as_they_were_in_training(work, override):
    with pytest.raises(UserError, match=f"--set {override.split('=')[0]}: expected .*, as .* trained"):
        opened(work / "finished", [override])


def test_images_that_it_was_trained_on_are_counted(work):
    rows = [row[:5] for row in read_table(work / "data")]
    write_table(work / "data", rows[:9])
    for file in sorted((work / "data/images").iterdir())[:2]:
        Image.open(file).save(file, "PNG")
    (work / "seen.yaml").write_text("source: table\nfile: data/table.csv\ngroup_column: who\n")
    run = opened(work / "finished", file=work / "seen.yaml")
    assert len(run.predictions("test").ids) == 8  # all are for testing where nothing says otherwise
    assert "the network was trained on 8 of them; nothing is fitted or chosen" in run.described


@pytest.mark.parametrize(
    ("section", "overrides", "line"),
    [
        ("data: 3", [], "other.yaml: expected a section data. Received: 3"),
        ("data: {source: tabel}", [], "other.yaml: data.source: expected one of"),
        ("data: {source: table, file: nowhere.csv}", [], "nowhere.csv: expected a readable file"),
        (
            "data: {source: table, file: other/table.csv, attributes: [hat]}",
            [],
            "expected data about what the run answers",
        ),
        (
            "data: {source: table, file: other/table.csv, class_column: who}",
            [],
            "expected data about what the run answers",
        ),
        ("data: {source: table, file: data/table.csv, shares: [1, 0, 0]}", [], "expected test images (analysis.split)"),
        ("data: {source: table, file: data/table.csv}", ["data.image_size=32"], "--set data.image_size: expected 16"),
    ],
)
def test_other_data_that_cannot_be_evaluated_are_refused(work, other, section, overrides, line):
    other.write_text(section)
    with pytest.raises(UserError) as caught:
        opened(work / "finished", overrides, other).predictions("test")
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_trained_again_has_no_results_of_other_data(work, other):
    opened(work / "finished", file=other).predictions("test")
    settings, run = config.load(work / "t.yaml"), RunDirectory(work / "finished")
    with run.open(settings, overwrite=True):
        run.begin(settings)
        assert not (work / "finished/analysis").exists() and not (work / "finished/data.npz").exists()
