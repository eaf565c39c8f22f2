import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from mam_keras import config
from mam_keras.errors import UserError

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

TINY = """
name: tiny
data:
  source: table
  file: table.csv
  image_size: 32
model:
  front_end: [4, 4]
  dilations: [1, 2]
"""


def load(tmp_path, text=TINY, *overrides):
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return config.load(path, list(overrides))


def refused(tmp_path, text=TINY, *overrides):
    """The one line with which a configuration is refused, less the folder it is in."""
    with pytest.raises(UserError) as caught:
        load(tmp_path, text, *overrides)
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(f"{tmp_path}/", "")


# What is wrong, and what the line says of it.
WRONG = {
    "training.epochz=2": "training.epochz: unknown key; did you mean 'epochs'? Received: 2",
    "training.learningrate=2": "training.learningrate: unknown key; did you mean 'learning_rate'? Received: 2",
    "loss.lamda=1": "loss.lamda: unknown key; did you mean 'lambda'? Received: 1",
    "data.imagesize=64": "data.imagesize: unknown key; did you mean 'image_size'? Received: 64",
    "data.seed=1": "data.seed: unknown key; known here: image_size, fit, attributes, limit, ",  # of another source
    "trainin={}": "trainin: unknown key; did you mean 'training'? Received: {}",
    "xyz.key=1": "xyz: unknown key; known here: name, seed, data, model, loss, training, distribute, evaluation, "
    "analysis, tune.",
    "training.epochs=many": "training.epochs: expected a valid integer. Received: 'many'",
    "training.epochs=2.5": "training.epochs: expected a valid integer. Received: 2.5",
    "training.epochs=true": "training.epochs: expected a valid integer. Received: True",
    "training.epochs=": "training.epochs: expected a valid integer. Received: None",
    "training.epochs=0": "training.epochs: expected greater than or equal to 1. Received: 0",
    "training.learning_rate='1e-3'": "training.learning_rate: expected a valid number. Received: '1e-3'",
    "training.learning_rate=0": "training.learning_rate: expected greater than 0. Received: 0",
    "training.momentum=1": "training.momentum: expected less than 1. Received: 1",
    "data.flip=1": "data.flip: expected a valid boolean. Received: 1",
    "data.corrupt_share=1.5": "data.corrupt_share: expected less than or equal to 1. Received: 1.5",
    "data.file=": "data.file: expected a valid string. Received: None",
    "model.front_end=[4, 0]": "model.backbone.front_end.1: expected greater than or equal to 1. Received: 0",
    "model.front_end=4": "model.backbone.front_end: expected a valid tuple. Received: 4",
    "model.masks=some": "model.masks: expected 'per_feature', 'common' or 'none'. Received: 'some'",
    "model.mask_offset=2": "model.mask_offset: expected 0 or 1. Received: 2",
    "loss.gamma=-4": "loss.gamma: expected greater than or equal to 0. Received: -4",
    "loss.lambda=-1e-5": "loss.lambda: expected greater than or equal to 0. Received: -1e-05",
    "loss.alpha=.nan": "loss.alpha: expected a finite number. Received: nan",
    "loss.beta=.inf": "loss.beta: expected a finite number. Received: inf",
    "training=fast": "training: expected a valid dictionary or instance of Training. Received: 'fast'",
    "name=a/b": "name: expected pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'. Received: 'a/b'",
    "seed=-1": "seed: expected greater than or equal to 0. Received: -1",
    "data.source=celebs": "data.source: expected one of celeba, tfds, table, folders, synthetic_faces",
    "model.system=maskd": "model.system: expected one of masked, attention_branch, shareable, plain",
    "model.backbone.kind=dilated": "model.backbone.kind: expected one of dilation, alexnet, resnet, inception_v1, ",
    "model.backbone.dilations=[1]": "model.dilations: expected once, here or in model.backbone. Received: both",
    "model.backbone.dilation=[1]": "model.backbone.dilation: unknown key; did you mean 'dilations'? Received: (1,)",
    "data.image_size=62": "data.image_size: expected a multiple of 4 (model.front_end halves the image 2 times). "
    "Received: 62",
    "model.dilations=[1, 8]": "model.dilations: expected every dilation to be smaller than the feature map, which is "
    "8 x 8. Received: 8",
    "model.dilations=[1, -1]": "model.backbone.dilations.1: expected greater than or equal to 0. Received: -1",
    "model.pooling_sharpness=0": "model.pooling_sharpness: expected greater than 0. Received: 0",
    "data.cutout=1": "data.cutout: expected less than or equal to 0.9. Received: 1",
    "data.shift=16": "data.shift: expected less than half of data.image_size (32). Received: 16",
    "data.shares=[0.5, 0.5, 0.5]": "data.shares: expected three shares that add up to 1. Received: (0.5, 0.5, 0.5)",
    "data.shares=[0.5, 0.5]": "data.shares.2: expected a value; this key is required and was not given.",
    "training.warmup_epochs=11": "training.warmup_epochs: expected at most training.epochs (10). Received: 11",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_value_is_refused_in_one_line_with_key_value_and_expectation(tmp_path, override):
    line = refused(tmp_path, TINY, override)
    assert line.startswith(f"tiny.yaml with --set {override}: {WRONG[override]}")


def test_validation_cannot_be_chosen_on_where_it_is_trained_on(tmp_path):
    line = refused(tmp_path, TINY, "data.train_on_validation=true", "training.early_stopping=3")
    assert "training.early_stopping: expected null where data.train_on_validation is true" in line
    assert line.endswith("Received: 3")


def test_a_model_without_any_classifier_is_refused(tmp_path):
    line = refused(tmp_path, TINY, "model.attribute_heads=false", "model.multi_label_head=false")
    assert "model.attribute_heads: expected attribute_heads or multi_label_head to be true" in line


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["loss.spread=0.06"],
            "loss.spread: expected 0 where model.learned_positions is false: all positions count the same. Received: "
            "0.06",
        ),
        (
            ["model.learned_positions=true", "model.attribute_heads=false"],
            "model.learned_positions: expected false where model.attribute_heads is false: it is what these heads "
            "learn. Received: True",
        ),
        (
            ["model.learned_positions=true", "model.perception=stage"],
            "model.learned_positions: expected false where model.perception is stage: a logit averages all positions. "
            "Received: True",
        ),
        (["model.system=attention_branch", "loss.spread=0.06"], "loss.spread: unknown key"),
        (["model.system=attention_branch", "model.learned_positions=true"], "model.learned_positions: unknown key"),
    ],
)
def test_positions_are_learned_where_there_are_some(tmp_path, overrides, line):
    assert line in refused(tmp_path, TINY, *overrides)


def test_maps_cannot_be_localised_without_heads(tmp_path):
    line = refused(tmp_path, TINY, "loss.localisation=1", "model.attribute_heads=false")
    assert "loss.localisation: expected 0 where model.attribute_heads is false" in line


@pytest.mark.parametrize(
    "overrides, line",
    [
        (
            ("loss.directed={Hat: [1, 0]}",),
            "loss.directed: expected an attribute whose second weight is above 0 where ",
        ),
        (("loss.directed={}",), "loss.directed: expected an attribute whose second weight is above 0 where "),
        (("loss.directed={Hat: [1]}",), "loss.directed.Hat.1: expected a value; this key is required"),
        (("loss.directed={Hat: [1, -1]}",), "loss.directed.Hat.1: expected greater than or equal to 0. Received: -1"),
        (("analysis.sigmas=[]",), "analysis.sigmas: expected at least 1 of them. Received: "),
        (("loss.localisation_by=iuo",), "loss.localisation_by: expected 'outside', 'iou', 'energy', 'l1' or"),
        (("loss.localisation_order=third",), "loss.localisation_order: expected 'second' or 'first'"),
        (
            ("loss.localisation_map=front_end.1",),
            "loss.localisation_map: expected own, grad_cam or a stage (front_end.1.relu, front_end.2.relu, "
            "context.1.relu, features); did you mean 'front_end.1.relu'? Received: 'front_end.1'",
        ),
        (
            ("model.perception=stage",),
            "loss.localisation: expected 0 where model.perception is stage: positions have no scores "
            "(loss.localisation_by, or loss.localisation_map, may be another). Received: 1.0",
        ),
    ],
)
def test_how_a_network_is_directed_is_checked(tmp_path, overrides, line):
    assert line in refused(tmp_path, TINY, "loss.localisation=1", *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.attribute_heads=false", "loss.localisation_map=grad_cam"),
        ("model.perception=stage", "loss.localisation_by=iou"),
        ("model.perception=stage", "loss.localisation_map=front_end.1.relu"),
        ("loss.directed={Hat: [1, 0.5]}",),
        ("loss.localisation=0", "loss.directed={Hat: [2, 0]}"),  # the same fine-tuning without its maps
    ],
)
def test_these_ways_of_directing_are_possible(tmp_path, overrides):
    settings = load(tmp_path, TINY, "loss.localisation=1", *overrides)
    again = tmp_path / "again.yaml"
    again.write_text(settings.to_yaml())
    assert config.load(again) == settings


def test_weights_of_attributes():
    loss = config.check({"name": "x", "data": {"source": "synthetic_faces"}}, "x").loss
    assert loss.attribute_weights(("a", "b")).tolist() == [[1, 1], [1, 1]]
    some = loss.model_copy(update={"directed": {"b": (2.0, 0.5)}})
    assert some.attribute_weights(("a", "b")).tolist() == [[1, 0], [2, 0.5]]


def test_attributes_of_a_mixture_have_no_place(tmp_path):
    line = refused(tmp_path, TINY, "loss.localisation=1", "data.mixup=0.2")
    assert "data.mixup: expected 0 where loss.localisation is not" in line


@pytest.mark.parametrize(
    "text, line",
    [
        ("name: a\nname: b\n", "tiny.yaml, line 2: expected YAML. Received: the key 'name' stands twice"),
        (TINY + "model:\n  channels: 4\n", "tiny.yaml, line 10: expected YAML. Received: the key 'model' stands twice"),
        ("name: [a\n", "tiny.yaml, line 2: expected YAML. Received: expected ',' or ']', but got '<stream end>'"),
        ("name:\n\t- a\n", "tiny.yaml, line 2: expected YAML. Received: found character '\\t'"),
        ("{a: 1}: 2\n", "tiny.yaml: expected YAML. Received: unhashable type: 'dict'"),
        ("name: !!python/object/apply:os.system [true]\n", "tiny.yaml, line 1: expected YAML. Received: could not"),
        ("- name\n", "tiny.yaml: expected a mapping of sections. Received: list"),
        ("", "tiny.yaml: expected a mapping of sections. Received: NoneType"),
        ("name: tiny\n", "tiny.yaml: data: expected a value; this key is required and was not given."),
        ("name: tiny\ndata:\n", "tiny.yaml: data.source: expected"),
        (
            "name: tiny\ndata: {image_size: 32}\n",
            "tiny.yaml: data.source: expected one of celeba, tfds, table, folders, ",
        ),
        ("name: tiny\ndata: {source: celeba}\n", "tiny.yaml: data.directory: expected a value; this key is required"),
        (TINY + "1: 2\n", "tiny.yaml: 1: expected"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_its_line(tmp_path, text, line):
    assert refused(tmp_path, text).startswith(line)


ALIASES = "".join(f"k{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9))


@pytest.mark.parametrize(
    "text, problem",
    [
        ("k0: &a0 [x, x]\n" + ALIASES, "line 6: expected YAML. Received: more than 100 levels"),
        (
            "k0: &a0 {a: b}\n" + ALIASES.replace("[", "{<<: [").replace("]", "]}"),
            "line 6: expected YAML. Received: more",
        ),
        (
            "name: " + "[" * 1000 + "]" * 1000,
            "line 1: expected YAML. Received: more than 100 levels",
        ),
        ("name: " + "{a: " * 1000 + "}" * 1000, "line 1: expected YAML. Received: more than 100 levels"),
        ("- " * 1000 + "a", "line 1: expected YAML. Received: more than 100 levels"),
        ("name: &a [*a]", "line 1: expected YAML. Received: an alias within what it stands for"),
        ("name: *a", "line 1: expected YAML. Received: found undefined alias"),
        ("name: !!int x", "expected YAML. Received: invalid literal for int()"),
        ("name: !!int ''", "expected YAML. Received: string index out of range"),
        ("name: !!bool maybe", "expected YAML. Received: 'maybe'"),
        ("name: !!timestamp now", "expected YAML. Received: "),
        ("name: 2020-13-45", "expected YAML. Received: month must be in 1..12"),
        ("seed: " + "1" * 5000, "expected YAML. Received: Exceeds the limit"),
        ("name: \x1b", "expected YAML. Received: unacceptable character"),
    ],
)
def test_a_file_that_costs_more_than_its_size_or_means_nothing_is_refused(tmp_path, text, problem):
    line = refused(tmp_path, text)
    assert problem in line
    assert len(line) < 300


def test_aliases_may_be_used_and_long_values_are_cut_in_messages(tmp_path):
    settings = load(tmp_path, TINY.replace("[4, 4]", "&few [4, 4]") + "  channels: 8\nloss: {localisation: 0}\n")
    assert settings.model.backbone.front_end == (4, 4)
    line = refused(tmp_path, TINY + "k: &a [" + "x, " * 500 + "]\nl: [" + "*a, " * 50 + "]\n")
    assert "k: unknown key" in line and len(line) < 500


# Texts that some reader of YAML takes for a number, a truth value, a date, nothing, or a thing of YAML's own.
LOOK_ALIKES = ("1e5", "12e03", "25921e05", "+1E-2", "1_0e3", "1.5", "007", "0x1F", "1:30", "1_000", ".inf", ".nan")
LOOK_ALIKES += ("no", "on", "y", "Off", "true", "null", "~", "", "2020-01-01", "=", "<<", "*a", "&a", "- a", "a: b")
LOOK_ALIKES += ("#1", "'", '"', "\x1b", "Größe", "Gro\u0308ße", "😀", "a\nb", " a ", "\u2028")


def test_whatever_text_is_written_is_read_again(tmp_path):
    names = [name for name in LOOK_ALIKES if name]
    settings = config.check({"name": "1e5", "data": {"source": "table", "file": "12e03", "attributes": names}}, "here")
    again = load(tmp_path, settings.to_yaml())
    assert again == settings
    for name in names:
        quoted = name.replace("'", "''")
        if name.isprintable() and "," not in name:
            assert load(tmp_path, TINY, f"data.attributes=['{quoted}']").data.attributes == (name,)


@pytest.mark.parametrize(("text", "read"), [("1e5", "100000.0"), ("true", "True"), ("2020-01-01", "datetime.date")])
def test_a_name_that_yaml_takes_for_something_else_is_asked_for_in_quotes(tmp_path, text, read):
    line = refused(tmp_path, TINY, f"data.attributes=[{text}]")
    assert "data.attributes.0: expected a valid string, in quotes where YAML would read another kind" in line
    assert f"Received: {read}" in line


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=f"^{path}: expected a readable YAML file. Received: {reason}$"):
            config.load(path)
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.yaml: expected a readable YAML file. Received: not UTF-8 text$"):
        config.load(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    "override, line",
    [
        ("training.epochs", "--set: expected section.key=value. Received: 'training.epochs'"),
        ("=3", "--set: expected section.key=value. Received: '=3'"),
        (".".join("a" * 3000) + "=1", "--set: expected section.key=value. Received: 'a.a.a"),
        ("name.first=3", "--set name.first=3: expected 'name' to be a section, but it is a single value"),
        ("training.epochs=[", "--set training.epochs=[, line 1: expected YAML. Received: "),
    ],
)
def test_a_malformed_override_is_refused(tmp_path, override, line):
    assert refused(tmp_path, TINY, override).startswith(line)


def test_several_mistakes_are_counted(tmp_path):
    assert refused(tmp_path, TINY, "training.epochs=0", "training.batch_size=0").endswith("Received: 0 (and 1 more)")


def test_numbers_in_exponent_form_are_numbers(tmp_path):
    text = TINY + "loss: {lambda: 1e-5, gamma: 2E+1}\ntraining: {learning_rate: 5e-4}\n"
    settings = load(tmp_path, text, "training.weight_decay=1e-2")
    assert settings.loss.lambda_ == 0.00001
    assert settings.loss.gamma == 20.0
    assert settings.training.learning_rate == 0.0005
    assert settings.training.weight_decay == 0.01


def test_overrides_change_the_file_and_the_last_one_wins(tmp_path):
    settings = load(tmp_path, TINY, "data.image_size=64", "data.image_size=16", "model.dilations=[1]", "seed=3")
    assert settings.data.image_size == 16
    assert settings.model.backbone.dilations == (1,)
    assert settings.seed == 3
    assert settings.model.feature_size(settings.data.image_size) == 4


@pytest.mark.parametrize("word", ["on", "off"])
def test_on_and_off_are_words(tmp_path, word):
    assert load(tmp_path, TINY, f"training.xla={word}").training.xla == word


def test_a_configuration_cannot_be_changed(tmp_path):
    settings = load(tmp_path)
    for section, key in ((settings, "seed"), (settings.training, "epochs"), (settings.data, "file")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, 1)
    assert isinstance(settings.model.backbone.dilations, tuple)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_comes_back_from_yaml(tmp_path, path):
    settings = config.load(path)
    assert settings.name == path.stem
    (tmp_path / "again.yaml").write_text(settings.to_yaml())
    again = config.load(tmp_path / "again.yaml")
    assert again == settings
    assert again.to_yaml() == settings.to_yaml()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_opens_with_the_command_that_runs_it(path):
    text = path.read_text()
    comment = text[: re.search(r"^[^#]", text, re.MULTILINE).start()]
    command = "tune" if config.load(path).tune else "fit"
    assert f"#     python -m mam_keras.{command} configs/{path.name}" in comment


def test_these_configurations_are_shipped():
    expected = {"celeba", "celeba_accurate", "celeba_localised", "celeba_positions", "celeba_small", "celeba_alexnet"}
    expected |= {"demo", "tune_celeba_small"}
    expected |= {f"{data}_attention_branch" for data in ("celeba", "cifar10", "demo")}
    expected |= {f"cifar10{ending}" for ending in ("", "_small", "_shareable", "_shareable_small", "_masked_small")}
    assert {path.stem for path in CONFIGS} == expected


def test_the_papers_configuration_has_the_papers_values():
    settings = config.load(ROOT / "configs/celeba.yaml")
    loss = settings.loss
    assert (loss.alpha, loss.beta, loss.gamma, loss.lambda_) == (1, 1, 4, 1e-5)
    assert settings.model.channels == 128
    assert settings.model.feature_size(settings.data.image_size) == 32
    assert settings.data.train_on_validation


def test_neither_tensorflow_nor_keras_is_imported_to_refuse_a_configuration(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['fit', {str(tmp_path / 'tiny.yaml')!r}, '--set', 'training.epochz=2']\n"
        "try:\n"
        "    runpy.run_module('mam_keras.fit', run_name='__main__')\n"
        "finally:\n"
        "    print(sorted({'tensorflow', 'keras'} & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "[]\n"
    assert "training.epochz: unknown key; did you mean 'epochs'? Received: 2" in done.stderr
    assert done.stderr.count("\n") == 1
