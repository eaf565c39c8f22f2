"""What a directed run and its control are trained with, told before anything is trained."""

import json
import shutil

import pytest

from mam_keras import command_line, config
from mam_keras.direct import plan
from mam_keras.errors import UserError
from mam_keras.settings import flat


@pytest.fixture(scope="module")
def opened(before):
    return plan.opened(before)


@pytest.fixture
def make(opened, regions, tmp_path):
    """make(names, changes) -> the plan of directing the small run."""
    return lambda *arguments, **options: plan.make(opened, tmp_path / "after", regions, *arguments, **options)


def differences(one, other):
    one, other = (flat(each.model_dump(mode="json", by_alias=True)) for each in (one, other))
    return {key: (one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)}


def test_the_run_differs_from_the_one_before_in_what_it_says_and_in_nothing_else(make, opened, before, tmp_path):
    made = make()
    changed = differences(opened.config, made.config)
    assert changed.pop("name") == ("small", "small-directed")
    assert changed.pop("training.start_from") == (None, str(before.resolve()))
    assert changed.pop("loss.regions") == (None, str((tmp_path / "after/regions.yaml").resolve()))
    assert changed.pop("training.epochs") == (2, 1)
    assert changed.pop("training.learning_rate") == (0.01, 0.01 * plan.RATE)
    assert changed.pop("training.warmup_epochs") == (1.0, 0.1)
    assert changed.pop("loss.localisation") == (0.0, 1.0)
    assert changed.pop("loss.localisation_by") == ("outside", "energy")
    changed.pop("loss.directed", None)
    names = ("Smiling", "Eyeglasses", "Wearing_Hat")
    assert changed == {f"loss.directed.{name}": (None, [1.0, 5.0]) for name in names}
    assert made.told.attributes == names
    assert made.told.settings["loss.directed"] == {name: [1.0, 5.0] for name in names}


def test_the_control_is_the_same_without_the_maps_term(make):
    made = make()
    changed = differences(made.config, made.control)
    assert changed.pop("loss.localisation") == (1.0, 0.0)
    assert changed.pop("loss.localisation_by") == ("energy", "outside")
    assert {key.split(".")[0] for key in changed} == {"name", "loss"}
    assert made.control.loss.directed is None and made.control.loss.regions is None


def test_the_control_keeps_the_weights_of_the_answers_and_nothing_of_the_regions(make):
    one = make(["Smiling"], {"loss.directed": {"Smiling": [0.5, 5.0]}, "loss.localisation_by": "energy"}).control
    other = make(["Smiling"], {"loss.directed": {"Smiling": [0.5, 3.0]}, "loss.localisation_by": "l1"}).control
    assert one == other
    assert one.loss.directed == {"Smiling": (0.5, 0.0)}


def test_a_control_whose_images_show_regions_alone_keeps_them(make):
    made = make(["Smiling"], {"data.region_only": 0.5})
    assert made.control.loss.regions == made.config.loss.regions
    assert made.control.loss.directed == {"Smiling": (1.0, 0.0)}


def test_what_was_done_can_be_repeated_from_what_the_run_says(make, opened, regions, tmp_path):
    made = make(["Smiling"], {"training.epochs": 3, "loss.localisation_by": "energy"})
    arguments = plan.command(made.told)
    settings = plan.assignments([one.removeprefix("--set=") for one in arguments if one.startswith("--set=")])
    (named,) = [one.removeprefix("--attributes=") for one in arguments if one.startswith("--attributes=")]
    again = plan.make(opened, tmp_path / "after", regions, command_line.names("--attributes", named), settings)
    assert again == made
    assert arguments[0] == str(made.told.before)


@pytest.mark.parametrize("names", [("a, b", "c"), ('"', "=x"), ("-x",), ("é", "<b>")])
def test_names_of_any_kind_survive_the_command_line(make, names):
    told = make().told
    told = type(told)(told.path, told.before, told.model, told.control, names, {"loss.directed": {names[0]: [1, 2]}})
    arguments = plan.command(told)
    assert command_line.names("--attributes", arguments[2].removeprefix("--attributes=")) == list(names)
    assert plan.assignments([arguments[-1].removeprefix("--set=")]) == told.settings


def test_settings_of_the_command_line_come_last(make):
    made = make(["Smiling"], {"training.learning_rate": 0.5, "seed": 3})
    assert (made.config.training.learning_rate, made.control.training.learning_rate) == (0.5, 0.5)


def test_attributes_are_in_the_runs_order_and_only_those_asked_for(make):
    assert make(["Wearing_Hat", "Smiling"]).told.attributes == ("Smiling", "Wearing_Hat")


@pytest.mark.parametrize(
    "names, line",
    [
        (["Smilin"], r"^--attributes: expected attributes of .*; did you mean 'Smiling'\? Received: 'Smilin'$"),
        (["Bangs"], r"^\S*regions.yaml: expected a region of Bangs in training images\. Received: none$"),
    ],
)
def test_attributes_that_cannot_be_directed_are_named(make, names, line):
    with pytest.raises(UserError, match=line):
        make(names)


def test_a_file_without_a_region_of_any_attribute_is_refused(opened, tmp_path):
    path = tmp_path / "regions.yaml"
    path.write_text("attributes: {Young: {rectangles: [[0, 0, 1, 1]]}}")
    with pytest.raises(UserError, match=r"regions\.yaml: expected .* of Smiling, .* Received: of Young alone$"):
        plan.make(opened, tmp_path / "after", path)
    assert plan.left_out(opened, path) == {"attribute": ["Young"], "training image": []}


def test_regions_of_images_that_the_run_was_not_trained_on_are_none(opened, tmp_path):
    path, test = tmp_path / "regions.yaml", str(opened.predictions("test").ids[0])
    (tmp_path / "masks/Bangs").mkdir(parents=True)
    (tmp_path / f"masks/Bangs/{test}.png").touch()
    marked = "{Smiling: {rectangles: [[0, 0, 1, 1]]}}"
    path.write_text(f"images: {{nowhere.png: {marked}, {test}: {marked}}}\nmasks: masks")
    with pytest.raises(UserError, match=r"expected a region in training images of at least one of .* Received: none$"):
        plan.make(opened, tmp_path / "after", path)
    assert plan.left_out(opened, path) == {"attribute": [], "training image": ["nowhere.png", test]}


def test_masks_and_single_images_count_as_regions_and_masks_are_found_from_anywhere(opened, tmp_path):
    (tmp_path / "masks/Bangs").mkdir(parents=True)
    one, other, *_ = opened.training.ids.tolist()
    (tmp_path / f"masks/Bangs/{other}.png").touch()
    (tmp_path / "masks/Young").mkdir()
    path = tmp_path / "regions.yaml"
    path.write_text(f"images: {{{one}: {{Smiling: {{rectangles: [[0, 0, 1, 1]]}}}}}}\nmasks: masks")
    made = plan.make(opened, tmp_path / "after", path)
    assert made.told.attributes == ("Smiling", "Bangs")
    assert str((tmp_path / "masks").resolve()) in made.regions


@pytest.mark.parametrize(
    "override", ["model.channels=3", "name=x", "training.start_from=x", "loss.regions=x", "tune.x=3"]
)
def test_settings_that_are_not_to_be_changed_are_refused(override):
    with pytest.raises(UserError, match=rf"^--set {override.split('=')[0]}: expected a setting of seed, data, loss, "):
        plan.assignments([override])


def test_nothing_to_direct_by_is_refused(make):
    with pytest.raises(UserError, match=r"^--set loss\.localisation: expected more than 0"):
        make(None, {"loss.localisation": 0})


def test_a_run_that_is_not_finished_cannot_be_directed(before, tmp_path):
    run = shutil.copytree(before, tmp_path / "unfinished")
    (run / "evaluation.json").unlink()
    with pytest.raises(UserError, match=r"unfinished: expected a finished run with its model\. Received: one"):
        plan.opened(run)


def test_settings_are_plain_values_that_json_holds(make):
    told = make().told
    assert json.loads(json.dumps(told.settings)) == told.settings
    assert config.check(make().config.model_dump(mode="json", by_alias=True), "again") == make().config
