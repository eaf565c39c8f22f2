"""What a search space may be, and how a trial's configuration comes of it. All of it before TensorFlow is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.tune import space
from mam_keras.tune.space import Dimension

ROOT = Path(__file__).parents[2]
VALUES = {
    "name": "tiny",
    "data": {"source": "synthetic_faces", "image_size": 32},
    "model": {"channels": 8, "front_end": [8, 8], "dilations": [1]},
    "training": {"epochs": 9},
}


def config(**tune):
    checked = configuration.check(VALUES | ({"tune": tune} if tune else {}), "tiny.yaml")
    return checked.model_copy(update={"tune": checked.tune or configuration.Tune()})


def ranges(**keys):
    """ranges(loss__lambda=(1, 2)) -> {"loss.lambda": {"low": 1, "high": 2}}; a third entry is the scale."""
    return {
        key.replace("__", "."): dict(zip(("low", "high", "scale"), ends, strict=False)) for key, ends in keys.items()
    }


def test_lambda_is_searched_on_a_log_scale_where_nothing_is_said():
    assert space.dimensions(config(), "tiny.yaml") == (Dimension("loss.lambda", 1e-8, 1e-4, "log"),)


def test_ends_have_the_settings_type():
    found = space.dimensions(
        config(
            space=ranges(model__channels=(4, 16), training__learning_rate=(0.001, 1), data__limit=(1, 50, "linear"))
        ),
        "tiny.yaml",
    )
    assert found == (
        Dimension("model.channels", 4, 16, "log"),
        Dimension("training.learning_rate", 0.001, 1.0, "log"),
        Dimension("data.limit", 1, 50, "linear"),
    )
    assert [type(d.high) for d in found] == [int, float, int]


# The `tune` section, other sections, and what the line says.
REFUSED = [
    ({"space": ranges(loss__lamda=(1, 2))}, {}, "tune.space: loss.lamda: unknown key; did you mean 'lambda'?"),
    ({"space": ranges(nothing__here=(1, 2))}, {}, "tune.space: expected settings of data, model, loss, training, as"),
    ({"space": ranges(seed=(1, 2))}, {}, "tune.space: expected settings of data, model, loss, training, as"),
    ({"space": ranges(loss__lambda__low=(1, 2))}, {}, "Received: loss.lambda.low"),
    ({"space": ranges(evaluation__resamples=(1, 2))}, {}, "Received: evaluation.resamples"),
    ({"space": ranges(training__epochs=(1, 2))}, {}, "not training.epochs (tune.epochs says them)"),
    ({"space": ranges(loss__lambda=(2, 2))}, {}, "tune.space.loss.lambda: expected low < high"),
    ({"space": ranges(loss__lambda=(3, 2))}, {}, "or the range is empty. Received: 3 to 2"),
    ({"space": ranges(loss__lambda=(0, 2))}, {}, "tune.space.loss.lambda.low: expected greater than 0, or `scale: lin"),
    ({"space": ranges(loss__lambda=(-1, 2, "linear"))}, {}, "tune.space: loss.lambda: expected greater than or equal"),
    ({"space": ranges(training__momentum=(0.5, 1))}, {}, "training.momentum: expected less than 1. Received: 1"),
    ({"space": ranges(model__channels=(4.5, 8))}, {}, "model.channels: expected a valid integer. Received: 4.5"),
    ({"space": ranges(data__flip=(0, 1, "linear"))}, {}, "data.flip: expected a valid boolean. Received: 0"),
    (
        {"space": ranges(model__normalization=(1, 2))},
        {},
        "model.backbone.normalization: expected 'batch', 'group' or 'none'",
    ),
    ({"space": ranges(loss__lambda=("a", 2))}, {}, "tune.space.loss.lambda.low: expected a valid number"),
    ({"space": ranges(loss__lambda=(1, float("inf")))}, {}, "tune.space.loss.lambda.high: expected a finite number"),
    ({"space": ranges(loss__lambda=(1, 2, "cubic"))}, {}, "tune.space.loss.lambda.scale: expected 'log' or 'linear'"),
    ({"space": {"loss.lambda": {"low": 1, "hi": 2}}}, {}, "tune.space.loss.lambda.high: expected a value"),
    ({"space": {"loss.lambda": {"low": 1, "high": 2, "hi": 2}}}, {}, "unknown key; did you mean 'high'?"),
    ({"space": {}}, {}, "tune.space: "),
    ({"objective": "beauty"}, {}, "tune.objective: expected 'balanced_accuracy', 'noise_robustness' or 'localisation'"),
    ({"oracle": "delphi"}, {}, "tune.oracle: expected 'random', 'bayesian' or 'hyperband'"),
    ({"trials": 0}, {}, "tune.trials: expected greater than or equal to 1"),
    ({"trails": 3}, {}, "tune.trails: unknown key; did you mean 'trials'?"),
    ({}, {"data": {"train_on_validation": True}}, "data.train_on_validation: expected false to tune"),
    ({}, {"distribute": {"strategy": "multi_worker"}}, "distribute.strategy: expected auto, none or mirrored to tune"),
    ({"oracle": "hyperband"}, {"training": {"warmup_epochs": 2.0}}, "at most training.epochs (1). Received: 2.0"),
]


@pytest.mark.parametrize(("tune", "sections", "line"), REFUSED, ids=[line for *_, line in REFUSED])
def test_what_cannot_be_searched_is_refused_in_one_line(tune, sections, line):
    values = VALUES | {"tune": tune} | {name: VALUES.get(name, {}) | keys for name, keys in sections.items()}
    with pytest.raises(UserError) as caught:
        space.dimensions(configuration.check(values, "tiny.yaml"), "tiny.yaml")
    assert str(caught.value).startswith("tiny.yaml: ")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("oracle", "most", "fewest"), [("random", 9, 9), ("hyperband", 9, 1), ("hyperband", 7, 3)])
def test_only_hyperband_has_shorter_trials(oracle, most, fewest):
    settings = config(oracle=oracle, epochs=most)
    assert space.most_epochs(settings) == most
    assert space.fewest_epochs(settings) == fewest  # 7 -> 7 / 3, rounded up


def test_a_trials_configuration_has_the_values_and_no_tune_section():
    settings = config(space=ranges(loss__lambda=(1, 2)))
    trial = space.with_values(settings, {"loss.lambda": 1.5, "model.channels": 4}, 2, "trial-01")
    assert (trial.loss.lambda_, trial.model.channels, trial.training.epochs) == (1.5, 4, 2)
    assert trial.tune is None
    assert "tune" not in trial.to_yaml()
    changed = {"loss": trial.loss, "model": trial.model, "training": trial.training, "tune": None}
    assert settings.model_copy(update=changed) == trial


def test_a_configuration_with_a_tune_section_comes_back_from_its_yaml(tmp_path):
    settings = config(space=ranges(loss__lambda=(1e-7, 1e-3)), trials=4)
    (tmp_path / "search.yaml").write_text(settings.to_yaml())
    assert configuration.load(tmp_path / "search.yaml") == settings


def test_the_command_refuses_before_tensorflow_is_imported(tmp_path):
    program = (
        "import sys\n"
        "from mam_keras import command_line\n"
        "from mam_keras.tune import __main__\n"
        "try:\n"
        "    command_line.run(__main__.main)\n"
        "finally:\n"
        "    print(sorted({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)))\n"
    )
    arguments = [ROOT / "configs/demo.yaml", "--set", "tune.space={loss.lamda: {low: 1, high: 2}}", "--run", tmp_path]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == "[]\n"
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {ROOT / 'configs/demo.yaml'}: tune.space: loss.lamda: unknown key")
    assert list(tmp_path.iterdir()) == []
