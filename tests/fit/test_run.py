"""The command line from end to end, in this process: what a run leaves, and the ways in which it is refused or fails.

(Configurations that are refused before anything is imported: `test_config.py`; stops: `test_resume.py`.)
"""

import csv
import json
import re
import resource
import shutil
import signal
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mam_keras.model.layers  # noqa: F401 (registers what a saved model is made of)
from mam_keras import command_line, config
from mam_keras.files import digest, locked, write_text
from mam_keras.fit import __main__, checkpoint
from mam_keras.fit.loop import Trainer
from mam_keras.fit.progress import EpochLines
from mam_keras.run_directory import RunDirectory

LIGHT = ("model.reconstructor=false", "model.multi_label_head=false", "training.xla='off'", "training.epochs=2")
CHATTER = re.compile(r"[IWE]\d{4} |WARNING: All log|\t \[\[")  # of TensorFlow, where a test imported it unsilenced
SPLITS = {"train": 22, "validation": 7, "test": 7}


@pytest.fixture
def fit(tiny, tmp_path, monkeypatch, capfd):
    """fit(*settings) runs the command on a run directory of the test's and returns exit code, lines and errors."""

    def call(*settings, flags=(), run=tmp_path / "run", file=tiny):
        arguments = [str(file), "--run", str(run), *flags]
        for setting in (*LIGHT, *settings):
            arguments += ["--set", setting]
        monkeypatch.setattr(sys, "argv", ["fit", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                command_line.run(__main__.main)
        finally:
            signal.signal(signal.SIGTERM, handler)
        out, errors = capfd.readouterr()
        return ended.value.code, out.splitlines(), [line for line in errors.splitlines() if not CHATTER.match(line)]

    return call


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run")


def history(directory):
    with directory.history.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def splits(directory):
    return json.loads(directory.evaluation.read_text())["splits"]


# --- what a run leaves ---


def test_a_run_leaves_the_designs_files(fit, directory, tiny):
    settings = ("model.multi_label_head=true", "model.reconstructor=true")
    code, lines, errors = fit(*settings)
    assert (code, errors) == (0, [])
    assert lines[0] == f"tiny: 22 training images, 3 attributes, run directory {directory.path}"
    assert [line.split(":")[0] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    assert lines[-1] == f"Written: {directory.path}"
    assert config.load(directory.config) == config.load(tiny, [*LIGHT, *settings])

    environment = json.loads(directory.environment.read_text())
    where = {"platform", "devices", "replicas", "git_revision", "directory"}
    assert set(environment) == {"versions", "seed", "settings", "regions", "start", "end", "files", *where}
    assert set(environment["versions"]) == {"mam_keras", "python", "tensorflow", "keras", "numpy", "pydantic"}
    assert environment["seed"] == 1
    assert environment["start"] <= environment["end"]

    rows = history(directory)
    terms = ("attributes_loss", "multi_label_loss", "reconstruction_loss", "mask_loss")
    for row in rows:
        for prefix in ("", "val_"):
            assert row[f"{prefix}loss"] == pytest.approx(sum(row[prefix + term] for term in terms), rel=1e-5)
            assert 0 <= row[f"{prefix}attributes_accuracy"] <= 1
        assert row["images_per_second"] > 0
    assert [row["epoch"] for row in rows] == [1, 2]

    with np.load(directory.predictions) as predictions:
        for split in ("validation", "test"):
            assert predictions[f"{split}.ids"].tolist() == [f"{split}{index}.png" for index in range(7)]
            for head in ("attributes", "multi_label"):
                answers = predictions[f"{split}.{head}"] >= 0.5
                accuracy = (answers == predictions[f"{split}.labels"]).mean()
                assert splits(directory)[split]["heads"][head]["mean"]["accuracy"] == pytest.approx(accuracy)
        model = keras.saving.load_model(directory.model, compile=False)
        images = np.stack([keras.utils.load_img(f"{table_folder(tiny)}/test{index}.png") for index in range(7)])
        outputs = model.predict_on_batch(images.astype(np.float32) / 255)
        np.testing.assert_allclose(outputs["multi_label"], predictions["test.multi_label"], atol=1e-6)
        np.testing.assert_allclose(outputs["middle"][:, 0], predictions["test.attributes"][:, 1], atol=1e-6)
    assert list(directory.logs.rglob("events*"))


def table_folder(tiny):
    return config.load(tiny).data.file.removesuffix("/table.csv")


def test_early_stopping_ends_with_the_best_epochs_weights(fit, directory, monkeypatch):
    evaluate, losses = Trainer.evaluate, iter([3.0, 2.0, 4.0])

    def scripted(trainer, prepared):
        values, probabilities = evaluate(trainer, prepared)
        return values | {"loss": next(losses, None)}, probabilities

    monkeypatch.setattr(Trainer, "evaluate", scripted)
    assert fit("training.epochs=5", "training.early_stopping=1")[0] == 0
    rows = history(directory)
    assert len(rows) == 3
    with np.load(directory.predictions) as predictions:
        p, labels = predictions["validation.attributes"].astype(float), predictions["validation.labels"]
    found = -np.where(labels, np.log(p), np.log1p(-p)).sum(axis=1).mean()
    assert found == pytest.approx(rows[1]["val_attributes_loss"], rel=1e-5)
    assert found != pytest.approx(rows[2]["val_attributes_loss"], rel=1e-4)


@pytest.mark.parametrize(
    "counts, evaluated",
    [({"train": 9}, []), ({"train": 9, "test": 4}, ["test"]), ({"train": 9, "validation": 4}, ["validation"])],
)
def test_a_source_without_validation_or_test_is_trained_on(fit, directory, make_table, tmp_path, counts, evaluated):
    code, lines, errors = fit(f"data.file={make_table(tmp_path, **counts)}")
    assert (code, errors) == (0, [])
    assert list(splits(directory)) == evaluated
    assert ("val_loss" in history(directory)[0]) == ("validation" in evaluated)
    without = "Nothing to evaluate on: the data have neither validation nor test."
    assert (without in lines) == (not evaluated)


def test_validation_is_not_evaluated_where_it_is_trained_on(fit, directory):
    code, lines, _ = fit("data.train_on_validation=true")
    assert code == 0
    assert lines[0].startswith("tiny: 29 training images")
    assert list(splits(directory)) == ["test"]
    assert "val_loss" not in history(directory)[0]


def test_unreadable_images_are_left_out_and_named(fit, directory, make_table, tmp_path):
    table = make_table(tmp_path, **SPLITS)
    (tmp_path / "train3.png").write_text("no image")
    (tmp_path / "test6.png").unlink()
    code, lines, errors = fit(f"data.file={table}", "data.corrupt_share=0.2")
    assert code == 0
    assert lines[0].startswith("tiny: 21 training images")
    assert errors == [
        "note: left out of train: train3.png: not a JPEG, PNG, GIF, BMP or WebP",
        f"note: left out of test: test6.png: {tmp_path}/test6.png; No such file or directory",
    ]
    assert splits(directory)["test"]["images"] == 6


def test_bfloat16_trains_and_is_advised_against_without_an_accelerator(fit, directory):
    policy = keras.config.dtype_policy()
    try:
        code, lines, _ = fit("training.precision=bfloat16")
    finally:
        keras.config.set_dtype_policy(policy)
    assert code == 0
    assert any("bfloat16 is meant for accelerators" in line for line in lines) or tf.config.list_physical_devices("GPU")
    assert np.isfinite([row["loss"] for row in history(directory)]).all()


# --- the user's input is at fault: exit code 2 ---


def test_bad_input_is_refused_in_one_line(fit, make_table, tmp_path):
    table = make_table(tmp_path, train=9)
    (tmp_path / "empty").mkdir()
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("frame: [16, 16]\nlandmarks: {eye: [1, 2]}\nattributes: {Hat: {boxes: [{around: [eye]}]}}")
    cases = {
        ("training.batch_size=23",): "training.batch_size: expected at most the number of training images, 22. "
        "Received: 23",
        (f"data.file={table}", "training.early_stopping=2"): "training.early_stopping: expected null where the data "
        "have no validation split. Received: 2",
        (f"data.file={tmp_path}/none.csv",): f"{tmp_path}/none.csv: expected a readable file. ",
        (f"data.directory={tmp_path}/empty",): f"{tmp_path}/empty: expected the images that ",
        ("loss.localisation=1",): "loss.localisation: expected 0, or a file that says where attributes are in these "
        "images (loss.regions). Received: 1",
        ("loss.localisation=1", f"loss.regions={elsewhere}"): "loss.regions: expected a region for at least one of the "
        "data's attributes. Received: none for top, middle, bottom",
        ("data.attributes=[botom]",): "data.attributes: expected known names; did you mean 'bottom'? Received: 'botom'",
        ("data.source=celeba", f"data={{source: celeba, directory: {tmp_path}/none}}"): f"{tmp_path}/none: expected "
        "the folder of CelebA (data.directory). Received: no such folder",
    }
    for settings, line in cases.items():
        code, _, errors = fit(*settings)
        assert (code, len(errors)) == (2, 1), errors
        assert errors[0].startswith(f"error: {line}")


def test_too_many_unreadable_images_are_refused(fit, make_table, tmp_path):
    table = make_table(tmp_path, **SPLITS)
    for index in (2, 5):
        (tmp_path / f"train{index}.png").write_text("no image")
    code, _, errors = fit(f"data.file={table}", "data.corrupt_share=0")
    assert code == 2
    assert len(errors) == 1
    assert errors[0].startswith(
        "error: data.corrupt_share: expected at most 0.00% of the train images to be unreadable (raise it, or "
        "remove them). Received: 2 of 22: train2.png: not a JPEG, PNG, GIF, BMP or WebP"
    )


def test_a_run_goes_on_only_where_it_can(fit, directory):
    """Refused: finished, or of another configuration; --overwrite trains again, and nothing of the old run stays."""
    assert fit()[0] == 0
    first = directory.model.read_bytes()
    assert fit()[0::2] == (
        2,
        [f"error: {directory.path}: expected an unfinished run. Received: a finished one; --overwrite trains it again"],
    )
    code, _, errors = fit("seed=7")
    assert code == 2
    assert errors == [
        f"error: {directory.config}: expected the configuration of this run to go on with. Received: seed is 1 there "
        "and 7 here; choose another --run, or --overwrite"
    ]
    assert directory.model.read_bytes() == first
    write_text(directory.path / "analysis/old.json", "{}")
    code, lines, errors = fit("seed=7", "training.epochs=1", flags=["--overwrite"])
    assert (code, errors) == (0, [])
    assert lines[1].startswith("epoch 1/1")
    assert len(history(directory)) == 1
    assert directory.model.read_bytes() != first
    assert not (directory.path / "analysis").exists()
    assert len(list((directory.logs / "train").iterdir())) == 1


def test_a_run_directory_that_cannot_be_used_is_refused(fit, tmp_path):
    write_text(tmp_path / "file", "")
    assert fit(run=tmp_path / "file/run")[0::2] == (
        2,
        [f"error: {tmp_path}/file/run: expected a directory that can be written (--run). Received: Not a directory"],
    )
    write_text(tmp_path / "photographs/me.jpg", "")
    assert fit(run=tmp_path / "photographs", flags=["--overwrite"])[0::2] == (
        2,
        [
            f"error: {tmp_path}/photographs: expected the directory of a run, or none. Received: a folder that holds "
            "other things"
        ],
    )
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run", wait=False):
        code, _, errors = fit()
    assert code == 2
    assert errors == [
        f"error: {tmp_path}/run: expected a run that nothing is working on. Received: another process holds it"
    ]


# --- the run fails: exit code 1 ---


def test_a_loss_that_is_no_number_ends_the_run(fit, directory):
    code, _, errors = fit("training.learning_rate=1e30", "training.schedule=constant", "training.warmup_epochs=0")
    assert code == 1
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert " became " in errors[0]
    assert " in epoch 1, step " in errors[0]
    assert errors[0].endswith(": try a lower training.learning_rate, or training.clip_norm")
    assert not directory.model.exists()


@pytest.fixture
def small_disk():
    """small_disk(bytes) lets no file grow beyond: a full disk that needs no rights to be set up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_the_run_and_leaves_the_last_checkpoint(fit, directory, small_disk, monkeypatch):
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    starts = []

    def fill_the_disk(callback, epoch, logs=None):
        starts.append((epoch, directory.last_checkpoint.exists() and directory.last_checkpoint.read_bytes()))
        begin(callback, epoch, logs)
        if epoch == 1 and len(starts) == 2:
            small_disk(10_000)

    begin = EpochLines.on_epoch_begin
    monkeypatch.setattr(EpochLines, "on_epoch_begin", fill_the_disk)
    code, _, errors = fit("training.epochs=3")
    assert code == 1
    assert errors == [
        f"error: {directory.last_checkpoint}: cannot be written: File too large; what was there before stays"
    ]
    assert directory.last_checkpoint.read_bytes() == starts[1][1]
    assert {path.name for path in directory.checkpoints.iterdir()} == {"last.npz", "progress.json"}
    small_disk(unlimited)
    assert fit("training.epochs=3")[0] == 0
    assert [epoch for epoch, _ in starts] == [0, 1, 1, 2]
    assert [row["epoch"] for row in history(directory)] == [1, 2, 3]


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError, tf.errors.UnknownError])
def test_a_log_that_does_not_fit_on_the_disk_is_not_the_settings_fault(fit, directory, monkeypatch, error):
    """TensorFlow says that resources are exhausted, as where memory is, which would be a failed trial of a search."""

    def fill_the_disk(*_):
        raise error(None, None, f"{directory.logs}/train/events.out; No space left on device")

    monkeypatch.setattr(keras.callbacks.TensorBoard, "on_epoch_end", fill_the_disk)
    assert fit("training.epochs=1")[::2] == (
        1,
        [f"error: {directory.path}: cannot be written: No space left on device; what was there before stays"],
    )


def test_a_model_that_cannot_be_saved_ends_the_run_and_the_next_start_saves_it(fit, directory, small_disk, monkeypatch):
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    save = checkpoint.save

    def fill_the_disk(*arguments):
        save(*arguments)
        small_disk(20_000)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", fill_the_disk)
        code, _, errors = fit("training.epochs=1")
    assert (code, errors) == (
        1,
        [f"error: {directory.model}: cannot be written: File too large; what was there before stays"],
    )
    assert not directory.model.exists()
    small_disk(unlimited)
    code, lines, errors = fit("training.epochs=1")
    assert (code, errors) == (0, [])
    assert not [line for line in lines if line.startswith("epoch")]
    assert directory.finished


def test_a_damaged_checkpoint_is_no_traceback(fit, directory):
    fit("training.learning_rate=1e30")  # ends before its first checkpoint
    write_text(directory.last_checkpoint, "damaged")
    code, _, errors = fit("training.learning_rate=1e30")
    assert code == 2
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {directory.last_checkpoint}: expected this run's checkpoint (--overwrite ")


# --- a run that starts from another ---


@pytest.fixture
def base(fit, tmp_path):
    assert fit("data.attributes=[middle, top]", *KEPT, run=tmp_path / "base")[0] == 0
    return RunDirectory(tmp_path / "base")


KEPT = ("model.normalization=none", "training.learning_rate=1e-9", "training.epochs=1")  # weights as they are


def test_a_run_starts_from_anothers_weights(fit, directory, base, tmp_path, monkeypatch):
    """Attributes by name; from then on it needs the other run no more."""
    monkeypatch.chdir(tmp_path)

    def stop(callback, epoch, logs=None):
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(EpochLines, "on_epoch_end", stop)
        assert fit(*KEPT, flags=["--from", "base"])[0] == 1
    code, lines, errors = fit(*KEPT, flags=["--from", "base"])
    assert (code, errors) == (0, [])
    said = [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]
    assert said == [
        "taken from base: the weights of all 5 layers; heads of top, middle",
        "new: heads of bottom",
    ]
    assert config.load(directory.config).training.start_from == "base"
    noted = json.loads(directory.environment.read_text())["started_from"]
    assert noted == {"run": "base", "model": digest(base.model), "said": said}
    with np.load(base.predictions) as there, np.load(directory.predictions) as here:
        np.testing.assert_allclose(here["test.attributes"][:, :2], there["test.attributes"][:, ::-1], atol=1e-5)


def test_a_run_that_is_carried_on_needs_the_other_no_more(fit, directory, base, monkeypatch):
    begin = EpochLines.on_epoch_begin

    def stop(callback, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("stopped")
        begin(callback, epoch, logs)

    settings = (*KEPT, "training.epochs=2")
    with monkeypatch.context() as patch:
        patch.setattr(EpochLines, "on_epoch_begin", stop)
        assert fit(*settings, flags=["--from", str(base.path)])[0] == 1
    noted = json.loads(directory.environment.read_text())["started_from"]
    shutil.rmtree(base.path)
    code, lines, errors = fit(*settings, flags=["--from", str(base.path)])
    assert (code, errors, len(history(directory))) == (0, [], 2)
    assert not [line for line in lines if "taken" in line]
    assert json.loads(directory.environment.read_text())["started_from"] == noted


def test_what_a_run_cannot_start_from_is_refused_in_one_line(fit, directory, base, tmp_path):
    def refused(run, line, flags=()):
        code, lines, errors = fit(*KEPT, f"training.start_from={run}", flags=flags)
        assert (code, lines, len(errors)) == (2, [], 1), errors
        assert errors[0].startswith(f"error: {line}")

    refused(tmp_path / "none", "training.start_from: expected a run directory (with config.yaml). Received: ")
    refused(directory.path, "training.start_from: expected another run than the one to train.", ["--overwrite"])
    model, evaluation = base.model.read_bytes(), base.evaluation.read_bytes()
    base.model.write_bytes(model[:-100] + bytes(100))
    refused(base.path, f"{base.model}: expected the file that this run left")
    base.model.unlink()
    refused(
        base.path, f"training.start_from: expected a run with its model. Received: {base.path}, without model.keras"
    )
    base.model.write_bytes(model)
    base.evaluation.unlink()
    refused(base.path, f"training.start_from: expected a finished run. Received: {base.path}, which has no evaluation")
    base.evaluation.write_bytes(evaluation)
    code, _, errors = fit(*KEPT, "model.front_end=[6, 6]", "model.dilations=[]", flags=["--from", str(base.path)])
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith("error: training.start_from: expected a run whose network makes features as this one")


# --- training on images of a region alone ---


@pytest.fixture
def regions(tmp_path):
    path = tmp_path / "regions.yaml"
    path.write_text(
        "attributes:\n  middle: {rectangles: [[0, 0.3, 1, 0.6]]}\n"
        "images:\n  train0.png:\n    middle: {rectangles: [[0, 0, 0.5, 0.5]]}\n"
    )
    return f"loss.regions={path}"


def test_a_run_trains_on_images_of_a_region_alone(fit, directory, regions):
    """What is shown is learnt; heads of what is not shown stay as they were."""
    code, _, errors = fit("data.region_only=1", regions, "loss.directed={middle: [1, 1]}", "training.epochs=8")
    assert (code, errors) == (0, [])
    model = keras.saving.load_model(directory.model, compile=False)
    bias = model.get_layer("attribute_logits").bias.numpy()
    assert bias[1] != 0 and not bias[[0, 2]].any()
    assert np.isfinite([row["loss"] for row in history(directory)]).all()


def test_regions_alone_that_nothing_is_known_of_are_refused(fit, regions):
    cases = {
        (): "data.region_only: expected 0, or a file that says where attributes are in these images (loss.regions). "
        "Received: 0.5",
        (regions, "loss.directed={middle: [1, 1], top: [1, 1]}"): "loss.regions: expected a region for ",
        (regions, "loss.directed={botom: [1, 1]}"): "loss.directed: expected attributes of the data; did you mean",
    }
    for settings, line in cases.items():
        code, _, errors = fit("data.region_only=0.5", *settings)
        assert (code, len(errors)) == (2, 1), errors
        assert errors[0].startswith(f"error: {line}")
