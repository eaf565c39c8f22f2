"""What `python -m mam_keras.export` writes beside the model, and what it says to those who give it something else."""

import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mam_keras import config, offsets, predictions
from mam_keras.analysis.rule import rule as rule_of
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data import celeba, formats
from mam_keras.errors import UserError
from mam_keras.export import run as exporting
from mam_keras.export.description import describe
from mam_keras.export.run import run
from mam_keras.run_directory import RunDirectory
from tests.export.conftest import ATTRIBUTES, as_before


def export(*arguments):
    command = [sys.executable, "-m", "mam_keras.export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_description_says_what_a_caller_needs(exported, run_directory):
    described = exported.description
    assert described["name"] == "tiny"
    assert described["attributes"] == list(ATTRIBUTES)
    assert described["preparation"]["image_size"] == 32
    assert described["preparation"]["max_pixels"] == formats.MAX_PIXELS
    assert described["preparation"]["fit"] == "crop" and "centre square" in described["preparation"]["square"]
    assert described["preparation"]["bounds"]["scans of a JPEG"] == formats.MAX_SCANS
    assert described["transformation"] == {"family": "tone_curve", "identity": [1.0, 1.0]}
    assert described["thresholds"]["default"] == predictions.THRESHOLD
    assert "40 validation images" in described["thresholds"]["note"]
    with np.load(run_directory.predictions) as arrays:
        labels = arrays["validation.labels"]
        for output, head in (("probabilities", "attributes"), ("multi_label", "multi_label")):
            assert described["thresholds"]["fitted"][output] == offsets.thresholds(labels, arrays[f"validation.{head}"])


def test_the_automatic_choice_is_described(exported, run_directory):
    rule, described = rule_of(TrainedRun(run_directory.path)), exported.description["automatic"]
    assert described["sigmas"] == rule.sigmas.tolist() and described["sigmas"][0] == 0
    for name in ("levels", "boundaries", "pairs", "offsets"):
        np.testing.assert_array_equal(np.float32(described[name]), np.float32(getattr(rule, name)))
    levels, boundaries = described["levels"], described["boundaries"]
    assert len(levels) > 2 and levels == sorted(levels)
    np.testing.assert_allclose(boundaries, [(low + high) / 2 for low, high in itertools.pairwise(levels)], rtol=1e-6)
    assert np.shape(described["pairs"]) == (len(levels), 2) and np.shape(described["offsets"]) == (len(levels), 5)


def test_the_command_says_what_it_wrote(exported):
    lines = exported.printed.splitlines()
    assert lines[0].endswith("analysis has no adaptation to noise yet; computing it on validation images")
    assert lines[-1] == f"Written: {exported.path}"
    assert lines[-2].startswith("Thresholds: fitted on 40 validation images")


def test_there_is_a_warm_up_request_for_every_signature_and_it_is_answered(exported, client):
    path = exported.path / "assets.extra" / "tf_serving_warmup_requests"
    names = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        names.append(request.model_spec.signature_name)
        outputs = client.send(request)
        assert all(np.isfinite(value).all() for value in outputs.values())
        assert outputs.get("valid", np.array([True])).all()
    six = ["serving_default", "classify_bytes", "classify_transformed", "classify_transformed_bytes"]
    assert sorted(names) == sorted([*six, "explain", "explain_bytes", "classify_automatic", "classify_automatic_bytes"])


@pytest.fixture
def settings(run_directory):
    return config.load(run_directory.config)


def test_what_was_trained_on_gives_no_thresholds(run_directory, settings, tmp_path):
    copy = changed(run_directory, tmp_path)
    data = settings.data.model_copy(update={"train_on_validation": True})
    copy.config.write_text(settings.model_copy(update={"data": data}).to_yaml())
    described = describe(TrainedRun(copy.path))["thresholds"]
    assert described["fitted"] is None
    assert described["note"] == "not fitted: the model was trained on the validation images"


def changed(run_directory, tmp_path, **files):
    """A copy of the run with other contents of some files."""
    copy = RunDirectory(tmp_path / "run")
    shutil.copytree(run_directory.path, copy.path, ignore=shutil.ignore_patterns("logs", "saved_model"))
    if "files" in json.loads(copy.environment.read_text()):
        as_before(copy)
    for name, content in files.items():
        getattr(copy, name).write_bytes(content)
    return copy


def test_a_run_of_an_earlier_version_names_its_attributes_in_its_evaluation_or_its_data(run_directory, tmp_path):
    copy = changed(run_directory, tmp_path)
    with np.load(copy.predictions) as arrays:
        np.savez(copy.predictions, **{name: arrays[name] for name in arrays if name not in ("names", "exclusive")})
    assert TrainedRun(copy.path).targets == (ATTRIBUTES, False)
    np.savez(copy.predictions)
    copy.evaluation.write_text('{"splits": {}}')
    described = describe(TrainedRun(copy.path))
    assert described["attributes"] == list(ATTRIBUTES)
    assert described["thresholds"]["note"] == "not fitted: the data have no validation images"


def test_without_the_data_the_export_goes_on_and_says_what_it_leaves_out(
    run_directory, network, settings, tmp_path, monkeypatch, capsys
):
    copy, written = changed(run_directory, tmp_path), []
    shutil.rmtree(copy.path / "analysis", ignore_errors=True)
    data = celeba.Settings(source="celeba", directory=str(tmp_path / "gone"), attributes=ATTRIBUTES, image_size=32)
    copy.config.write_text(settings.model_copy(update={"data": data}).to_yaml())
    monkeypatch.setattr(exporting, "write", lambda *given: written.append(given) or ("1", ["explain"]))
    run(copy, tmp_path / "saved_model")
    ((_, description, _, rule, _),) = written
    assert rule is None and description["automatic"] is None
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: classify_automatic is left out: ") and str(tmp_path / "gone") in note


def test_what_was_trained_on_gives_no_automatic_choice(run_directory, settings, tmp_path):
    copy = changed(run_directory, tmp_path)
    data = settings.data.model_copy(update={"train_on_validation": True})
    copy.config.write_text(settings.model_copy(update={"data": data}).to_yaml())
    assert exporting._rule(TrainedRun(copy.path)) == (None, "the model was trained on the validation images")


BROKEN = {
    "no model": ("model", b"this is no archive"),
    "no predictions": ("predictions", b"PK no archive"),
}


@pytest.mark.parametrize("file, content", BROKEN.values(), ids=BROKEN)
def test_a_broken_run_is_refused_in_one_line_that_names_the_file(run_directory, tmp_path, file, content):
    copy = changed(run_directory, tmp_path, **{file: content})
    with pytest.raises(UserError) as refused:
        run(copy, tmp_path / "saved_model")
    assert str(refused.value).startswith(f"{getattr(copy, file)}: expected ")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "saved_model").exists()


def test_a_directory_that_is_no_finished_run_is_refused_before_tensorflow_is_imported(tmp_path):
    for directory in (tmp_path, tmp_path / "nowhere"):
        done = export(directory)
        assert done.returncode == 2
        assert done.stderr == (
            f"error: {directory}: expected the directory of a finished run. Received: no evaluation.json in it\n"
        )
