"""A run's files, each damaged in every way or from another run: one line that names the file, whoever reads it."""

import json
import shutil
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mam_keras import config as configuration
from mam_keras import records
from mam_keras.analysis import result
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.errors import UserError
from mam_keras.export.run import run as export
from mam_keras.files import digest_of, read_json, write_json, write_record
from mam_keras.fit import checkpoint
from mam_keras.fit.run import run as fit
from mam_keras.report.run import run as report
from mam_keras.run_directory import RunDirectory
from mam_keras.search_directory import SearchDirectory, best_trial
from mam_keras.study.study_directory import StudyDirectory
from mam_keras.study.training import to_settle
from mam_keras.tune.trial import OUTCOME, read_outcome

SAVING = "__array__ implementation doesn't accept a copy"  # Keras's way of saving, as NumPy 2 sees it
LEFT = ("model.keras", "predictions.npz", "data.npz", "history.csv", "evaluation.json")
FILES = (*LEFT, "environment.json", "config.yaml")
DAMAGES = {  # flipped: in 64 bytes, longer than what an archive holds without a check sum or a copy
    "truncated": lambda whole: whole[: len(whole) // 2],
    "flipped": lambda whole: flipped(whole, *range(4 * len(whole), 4 * len(whole) + 512, 8)),
    "empty": lambda _: b"",
    "null": lambda _: b"null",
    "list": lambda _: b"[1, 2]",
    "deep": lambda _: b"[" * 5000 + b"]" * 5000,
    "no text": lambda _: b"\x00\xff\xfe" * 9,
    "columns": lambda _: b"a,b\n1,2\n",
}


def flipped(content, *bits):
    content = bytearray(content)
    for bit in bits:
        content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def flips(content, count, seed=0):
    """`content`, so many times, each with one to three of its bits flipped."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield flipped(content, *random.integers(0, 8 * len(content), random.integers(1, 4)).tolist())


def expect_refusal(path, read):
    with pytest.raises(UserError) as caught:
        read()
    message = str(caught.value)
    assert message.startswith(f"{path}") and "expected " in message and "Received: " in message, message
    assert "\n" not in message


@pytest.fixture(scope="module")
def keep_checkpoints():
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", SAVING, DeprecationWarning)
        patch.setattr(RunDirectory, "remove_checkpoints", lambda _: None)
        yield


@pytest.fixture(scope="module")
def ours(train_small, keep_checkpoints):
    return train_small(training={"early_stopping": 2})


@pytest.fixture(scope="module")
def others(train_small, keep_checkpoints):
    """Another run: its files are whole, and nothing is shaped differently in them."""
    return train_small(seed=5, training={"early_stopping": 2}, data={"train": 56})


@pytest.fixture
def copied(ours, tmp_path):
    return RunDirectory(shutil.copytree(ours, tmp_path / "run"))


READERS = {
    "report": lambda run: report([run.path], run.path / "page"),
    "report beside another": lambda run: report([run.path.parent / "whole", run.path], run.path / "page"),
    "export": lambda run: export(run, run.path / "served"),
    "study": lambda run: to_settle(
        SimpleNamespace(configs={"run": configuration.load(run.config)}, starts={}),
        SimpleNamespace(run=lambda _: run, config=lambda study, name: study.configs[name]),
    ),
}


def ways(files, *damages):
    """Pairs of both. A flipped bit of environment.json may be one of a machine's name, which is no matter."""
    return [(name, way) for name in files for way in damages if (name, way) != ("environment.json", "flipped")]


@pytest.mark.parametrize("name, damage", ways(FILES, *DAMAGES, "another run's"))
def test_a_finished_run_with_a_damaged_file_is_opened_by_nobody(ours, others, copied, name, damage):
    path = copied.path / name
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole) if damage in DAMAGES else (others / name).read_bytes())
    shutil.copytree(ours, copied.path.parent / "whole")
    for reader in READERS.values():
        expect_refusal(path, lambda reader=reader: reader(copied))
    assert not (copied.path / "page").exists() and not (copied.path / "served").exists()


def test_flipped_bits_of_an_environment_are_no_matter_or_one_line(copied):
    whole, settings, refused = copied.environment.read_bytes(), configuration.load(copied.config), 0
    for content in flips(whole, 150):
        copied.environment.write_bytes(content)
        try:
            records.require_whole(copied, settings)
        except UserError as error:
            assert str(error).startswith(f"{copied.path}/") and "\n" not in str(error)
            refused += 1
    assert 50 < refused < 150


def as_before(run):
    """Leaves out of a run what earlier versions did not write."""
    for path in (run.environment, run.evaluation):
        found = json.loads(path.read_text())
        write_json(path, {key: value for key, value in found.items() if key not in ("digest", "files", "settings")})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [one for one in DAMAGES if one != "flipped"])
def test_so_is_one_of_an_earlier_version(copied, name, damage):
    as_before(copied)
    path = copied.path / name
    if (name, damage) == ("config.yaml", "truncated"):
        return  # other settings, which nothing tells from these
    path.write_bytes(DAMAGES[damage](path.read_bytes()))

    def read():
        opened = TrainedRun(copied.path)
        records.environment(copied), records.evaluation(copied), records.history(copied)
        return opened.record, opened.predictions("test"), opened.network

    expect_refusal(path, read)


def test_one_of_an_earlier_version_opens(copied):
    as_before(copied)
    opened = TrainedRun(copied.path)
    assert opened.predictions("test").labels.shape == (24, 5)
    assert opened.network.image_size == 32


def test_a_changed_setting_of_a_trained_model_is_named(copied):
    changed = configuration.load(copied.config, ["model.channels=16"])
    copied.write_config(changed)
    with pytest.raises(UserError, match=r"config\.yaml: expected .*model\.channels 8\. Received: 16$"):
        TrainedRun(copied.path)


def test_so_is_an_image_size_before_anything_is_computed(ours, monkeypatch):
    monkeypatch.setattr(TrainedRun, "source", property(lambda _: pytest.fail("data were asked for")))
    with pytest.raises(UserError, match=r"^--set data\.image_size: expected 32, .*model\.keras.* Received: 64$"):
        report([ours], overrides=["data.image_size=64"])


@pytest.mark.parametrize(
    "change, said",
    [
        ({"data": {"image_size": 64}}, "data.image_size 32, not 64"),
        ({"data": {"attributes": ("Smiling",)}}, "targets 5, not 1"),
        ({"model": {"system": "attention_branch"}}, ""),
    ],
)
def test_a_model_of_other_settings_is_named_in_a_run_of_an_earlier_version(copied, change, said):
    as_before(copied)
    run = TrainedRun(copied.path)
    plain = run.config.model_dump(mode="json", by_alias=True)
    if "model" in change:
        del plain["model"], plain["loss"]
    values = plain | {section: plain.get(section, {}) | keys for section, keys in change.items()}
    run.config = configuration.check(values, "changed")
    if "attributes" in values["data"]:
        run.said = run.said._replace(names=tuple(values["data"]["attributes"]))
    expect_refusal(copied.model, lambda: run.network)
    with pytest.raises(UserError, match=rf"expected the model that the configuration .* Received: .*{said}"):
        TrainedRun.network.func(run)


HISTORY = ("epoch,attributes_loss,attributes_accuracy,loss,learning_rate,images_per_second", "1,1,0.5,1,0.1,100")


@pytest.mark.parametrize(
    "lines, said",
    [
        ((HISTORY[0], "1,1,0.5"), "3 of 6 columns in line 2"),
        ((*HISTORY, HISTORY[1]), "other epochs than 1, 2, ..."),
        ((HISTORY[0].replace(",loss", ",lost"), HISTORY[1]), "no column loss"),
        ((HISTORY[0].replace("attributes_loss", "attributes_los"), HISTORY[1]), "no column attributes_loss"),
        ((HISTORY[0], HISTORY[1].replace("0.5", "half")), "could not convert string to float: 'half'"),
        ((HISTORY[0].replace("attributes_loss", "loss"), HISTORY[1]), "columns epoch, loss"),
        (HISTORY, "no column val_loss"),
    ],
)
def test_a_history_that_no_curve_can_be_drawn_from_is_named(tmp_path, lines, said):
    run = RunDirectory(tmp_path)
    run.history.write_text("\n".join(lines))
    with pytest.raises(UserError, match=rf"history\.csv: expected the history of a run.* Received: {said}"):
        records.history(run, early_stopping=True)


# --- what is not finished ---


@pytest.fixture
def unfinished(copied):
    """The run, killed before it saved its model."""
    for path in (copied.evaluation, copied.model, copied.predictions):
        path.unlink()
    return copied


BEGUN = ("environment.json", "data.npz", "checkpoints/last.npz", "checkpoints/best.npz")


@pytest.mark.parametrize(
    "name, damage", ways(BEGUN, "truncated", "flipped", "empty", "null", "deep", "another run's", "gone")
)
def test_fit_does_not_carry_on_from_a_damaged_file(unfinished, others, name, damage):
    path, settings = unfinished.path / name, configuration.load(unfinished.config)
    if damage == "gone":
        path.unlink()
    elif damage in DAMAGES:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    else:
        path.write_bytes((others / name).read_bytes())
    harmless = [(one, "gone") for one in ("environment.json", "data.npz", "checkpoints/last.npz")]
    harmless.append(("environment.json", "another run's"))

    def carry_on():
        with unfinished.open(settings, overwrite=False):
            fit(settings, unfinished)

    if (name, damage) in harmless:
        carry_on()
        assert unfinished.finished
        TrainedRun(unfinished.path)
    else:
        expect_refusal(path, carry_on)


def test_a_checkpoints_state_is_checked(unfinished):
    settings = configuration.load(unfinished.config)
    with np.load(unfinished.last_checkpoint) as file:
        arrays = dict(file)
    whole = json.loads(arrays[checkpoint.STATE].tobytes())
    for state in (None, [], {}, whole | {"history": None}, whole | {"callbacks": []}, whole | {"stopped": "no"}):
        arrays[checkpoint.STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        np.savez(unfinished.last_checkpoint, **arrays)
        with unfinished.open(settings, overwrite=False):
            expect_refusal(unfinished.last_checkpoint, lambda: fit(settings, unfinished))


# --- what is kept ---


def test_flipped_bits_of_a_result_change_nothing_or_there_is_none(tmp_path):
    key = {"version": 1, "model": "0f", "settings": {"sigmas": [0.1]}}
    written = Result({"mean": 0.25, "names": ["a", "b"]}, {"values": np.arange(6.0).reshape(2, 3)})
    result.write(tmp_path, "one", key, written)
    refused = 0
    for name in ("one.json", "one.npz"):
        whole = (tmp_path / name).read_bytes()
        for content in flips(whole, 300):
            (tmp_path / name).write_bytes(content)
            found = result.read(tmp_path, "one", key)
            refused += found is None
            if found is not None:
                assert found.values == written.values
                np.testing.assert_array_equal(found.arrays["values"], written.arrays["values"])
        (tmp_path / name).write_bytes(whole)
    assert refused > 400


def test_flipped_bits_of_a_checkpoint_change_nothing_or_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd")
    model.optimizer.build(model.trainable_variables)
    path, state = tmp_path / "last.npz", {"history": [{"epoch": 1, "loss": 0.5}], "stopped": False, "callbacks": []}
    checkpoint.save(path, model, state)
    whole, weights, refused = path.read_bytes(), model.get_weights(), 0
    for content in flips(whole, 300):
        path.write_bytes(content)
        try:
            found = checkpoint.restore(path, model)
        except UserError as error:
            assert str(error).startswith(f"{path}: expected this run's checkpoint")
            refused += 1
        else:
            assert found == state
        for one, other in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert refused > 200


def test_flipped_bits_of_a_record_change_nothing_or_are_refused(tmp_path):
    path, written, refused = tmp_path / "record.json", {"a": [0.1, None], "b": {"c": "d\u00e9", "e": 12}}, 0
    write_record(path, written)
    assert read_json(path, "a record", dict) == written
    for content in flips(path.read_bytes(), 600):
        path.write_bytes(content)
        try:
            found = read_json(path, "a record", dict)
        except UserError as error:
            assert str(error).startswith(f"{path}: expected a record. Received: ")
            refused += 1
        else:
            assert {key: found[key] for key in written} == written
    assert refused > 500


def test_a_number_that_is_as_long_as_a_digest_is_none(tmp_path):
    """As in the notes of a disk cache, which is no record."""
    values = {"turned": 1.0, "most": 0.18348623853211}
    assert len(str(values["most"])) == len(digest_of(""))
    write_json(tmp_path / "notes.json", values)
    assert read_json(tmp_path / "notes.json", "notes", dict[str, float]) == values


def test_a_damaged_result_is_said_where_it_cannot_be_computed_anew(copied):
    from mam_keras import analysis

    analysis.compute_missing(TrainedRun(copied.path), names=("accuracy", "masks"))
    copied.model.unlink()
    kept = copied.path / "analysis/masks.test.npz"
    kept.write_bytes(flipped(kept.read_bytes(), 900))
    results, missing = analysis.compute_missing(TrainedRun(copied.path), names=("accuracy", "masks"))
    assert set(results) == {"accuracy"}
    assert missing["masks"].endswith(f"{kept.with_suffix('.json')} is damaged, or of another run")


# --- searches ---


TRIAL = {"number": 1, "run": "trial-01", "epochs": 2, "failed": None, "intervals": {"accuracy": [0.4, 0.6]}}
FOUND = {
    "objective": "accuracy",
    "oracle": "random",
    "space": {"loss.lambda": {"low": 1e-8, "high": 1e-4, "scale": "log"}},
    "best": 1,
    "trials": [TRIAL | {"values": {"loss.lambda": 1e-6}, "measures": {"accuracy": 0.5}}],
}


@pytest.fixture
def search(tmp_path):
    (tmp_path / "search.yaml").write_text("")
    write_record(tmp_path / "tuning.json", FOUND)
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_results_of_a_search_are_named(search, damage):
    path = search / "tuning.json"
    assert best_trial(search) == search / "trial-01"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    expect_refusal(path, lambda: best_trial(search))


@pytest.mark.parametrize(
    "change",
    [
        {"best": 2},
        {"trials": []},
        {"space": {"loss.gamma": FOUND["space"]["loss.lambda"]}},
        {"trials": [*FOUND["trials"], TRIAL | {"number": 2, "values": {"loss.lambda": 1e-6}, "measures": {}}]},
    ],
)
def test_results_of_a_search_that_do_not_fit_together_are_named(search, change):
    write_record(search / "tuning.json", FOUND | change)
    expect_refusal(search / "tuning.json", lambda: best_trial(search))


@pytest.mark.parametrize("damage", [one for one in DAMAGES if one != "flipped"])
def test_a_damaged_configuration_of_a_search_or_of_a_study_is_named(tmp_path, damage):
    """A bit of it that is flipped is another setting, which is refused, or none that a study looks at."""
    settings = configuration.check({"name": "s", "data": {"source": "synthetic_faces"}}, "test_damage")
    study = SimpleNamespace(name="s", to_yaml=lambda: "name: s\nbase: b.yaml\n")
    for directory, what, file in (
        (SearchDirectory(tmp_path / "search"), settings, "search.yaml"),
        (StudyDirectory(tmp_path / "study"), study, "study.yaml"),
    ):
        with directory.open(what):
            directory.begin(what)
        (directory.path / "fit").mkdir()  # as a training leaves it, and a search its state
        (directory.path / "search.json").write_text("{}")
        with directory.open(what):  # it carries on
            directory.begin(what)
        path = directory.path / file
        whole = path.read_bytes()
        path.write_bytes(DAMAGES[damage](whole))
        if (damage, file) == (
            "truncated",
            "search.yaml",
        ):  # behind a whole section: it says nothing else, and is made anew
            path.write_bytes(whole[: whole.index(b"training:")])
            with directory.open(what):
                directory.begin(what)
                assert path.read_bytes() == whole
            path.write_bytes(whole[: whole.index(b"epochs:") + len(b"epochs:")])
        with pytest.raises(UserError, match=f"^{path}.*: expected .* Received: ") as refused, directory.open(what):
            pass
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_outcome_of_a_trial_is_named(tmp_path, damage):
    path, written = (
        tmp_path / OUTCOME,
        {"values": {"loss.lambda": 1e-6, "model.channels": 8}, "epochs": 2, "failed": "x"},
    )
    write_record(path, written)
    assert json.dumps(read_outcome(tmp_path)) == json.dumps(written)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    expect_refusal(path, lambda: read_outcome(tmp_path))
