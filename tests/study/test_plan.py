"""A study's file: how runs are resolved, and every way to get it wrong."""

import pytest

from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.study import plan
from mam_keras.study.study_directory import StudyDirectory


def test_a_runs_settings_are_the_bases_then_the_studys_then_its_own_then_the_command_lines(write_study, tmp_path):
    runs = {"papers": {}, "more": {"training.epochs": 3, "model.dilations": [1, 2], "seed": 4}}
    path = write_study(tmp_path, set={"training.epochs": 1, "model.channels": 8, "loss.gamma": 2}, runs=runs)
    study = plan.load(path, ["model.channels=6", "loss.lambda=1e-6"])
    papers, more = study.configs["papers"], study.configs["more"]
    assert (papers.training.epochs, papers.model.channels, papers.loss.gamma, papers.loss.lambda_) == (1, 6, 2.0, 1e-6)
    assert (more.training.epochs, more.model.channels, more.loss.gamma, more.loss.lambda_) == (3, 6, 2.0, 1e-6)
    assert (papers.model.backbone.dilations, more.model.backbone.dilations, more.seed) == ((1,), (1, 2), 4)
    assert papers.training.batch_size == 16  # of the base
    assert [config.name for config in study.configs.values()] == ["papers", "more"]
    assert papers.tune is None
    assert study.file.most_accuracy_lost == 0.01


def test_what_is_kept_of_a_study_is_a_study(write_study, tmp_path):
    study = plan.load(write_study(tmp_path), ["model.channels=6"])
    kept = tmp_path / "kept.yaml"
    kept.write_text(study.to_yaml())
    assert plan.load(kept).configs == study.configs


def test_the_study_that_comes_with_the_package_is_one():
    folder = plan.Path(__file__).parents[2] / "configs/studies"
    for path in folder.glob("*.yaml"):
        assert plan.load(path).name == path.stem
    assert (folder / "localisation.yaml").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"base": "bases/other.yaml"}, r"bases/other\.yaml: expected a readable YAML file"),
        ({"baseline": "paper"}, r"study\.yaml: baseline: expected one of the runs, papers, top\. Received: 'paper'"),
        ({"basline": "papers"}, r"study\.yaml: basline: unknown key; did you mean 'baseline'\?"),
        ({"name": "../x"}, r"study\.yaml: name: expected pattern .* Received: '\.\./x'"),
        ({"most_accuracy_lost": 2}, r"study\.yaml: most_accuracy_lost: expected less than or equal to 1"),
        ({"runs": {}}, r"study\.yaml: runs: expected"),
        ({"runs": {"papers": {}, "a b": {"seed": 2}}}, r"study\.yaml: runs\.a b\.\[key\]: expected pattern"),
        ({"runs": {"papers": {}, "fit": {"seed": 2}}}, r"study\.yaml: runs: expected names other than .* 'fit'"),
        (
            {"runs": {"papers": {}, "x": {"model.chanels": 2}}},
            r"study\.yaml: runs\.x, on .*model\.chanels: unknown key",
        ),
        (
            {"runs": {"papers": {}, "x": {"model.channels": "a"}}},
            r"runs\.x, on .*model\.channels: expected a valid int",
        ),
        ({"runs": {"papers": {}, "x": {"model.dilations": [9]}}}, r"runs\.x, on .*every dilation to be smaller"),
        (
            {"runs": {"papers": {}, "x": {"model.channels": 4}}},
            r"runs\.x: expected settings .* Received: those of run papers",
        ),
        ({"runs": {"papers": {}, "x": {"name": "y"}}}, r"runs\.x: expected `section\.key: value`.* Received: name: y"),
        ({"runs": {"papers": {}, "x": {"model": {"channels": 2}}}}, r"runs\.x: expected `section\.key: value`"),
        ({"runs": {"papers": {}, "x": {"tune.trials": 2}}}, r"runs\.x: expected `section\.key: value`"),
        (
            {"runs": {"papers": {}, "x": {"analysis.resamples": 2}}},
            r"runs\.x: expected analysis to be the same for all",
        ),
        ({"runs": {"papers": {}, "x": {"seed.y": 2}}}, r"runs\.x, on .*seed: expected a valid integer"),
        ({"runs": {"papers": {}, "x": {"model.channels.y": 2}}}, r"runs\.x: model\.channels\.y: expected 'channels'"),
        ({"seeds": [1, 1]}, r"study\.yaml: seeds: expected each of them once\. Received: \[1, 1\]"),
        ({"seeds": []}, r"study\.yaml: seeds: expected"),
        (
            {"seeds": [1], "runs": {"papers": {"seed": 2}}},
            r"study\.yaml: runs\.papers: expected no seed of its own where the study has `seeds`\. Received: 2",
        ),
        ({"analyses": ["beauty"]}, r"study\.yaml: analyses\.0: expected 'accuracy', 'calibration', "),
        (
            {"analyses": ["accuracy", "cost"]},
            r"study\.yaml: analyses: expected accuracy and localisation among them, by which runs are chosen",
        ),
        ({"analyses": ["cost"], "choose_by": "accuracy"}, r"analyses: expected accuracy among them, by which runs are"),
        (
            {"analyses": ["accuracy", "localisation", "toggling", "groups"]},
            r"study\.yaml: analyses: expected groups, toggling where pairs are named .* Received: no pairs",
        ),
        ({"choose_by": "beauty"}, r"study\.yaml: choose_by: expected 'localisation' or 'accuracy'"),
        ({"set": {"data.train_on_validation": True}}, r"runs\.papers: data\.train_on_validation: expected false"),
        ({"set": {"distribute.strategy": "multi_worker"}}, r"runs\.papers: distribute\.strategy: expected auto, none"),
    ],
)
def test_bad_studies_are_refused_in_one_line(write_study, tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as raised:
        plan.load(write_study(tmp_path, **changes))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.channels", r"^--set: expected section\.key=value\. Received: 'model\.channels'"),
        ("name=x", r"^--set: expected `section\.key: value`.* Received: name: x"),
        ("model.pooled_share=0.25", r"runs\.top: expected settings that no other run has"),
    ],
)
def test_bad_overrides_are_refused_in_one_line(write_study, tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        plan.load(write_study(tmp_path), [override])


def test_runs_may_differ_by_their_seed_alone(write_study, tmp_path):
    study = plan.load(write_study(tmp_path, runs={"papers": {}, "again": {"seed": 5}}))
    assert configuration.check(study.configs["again"].model_dump(by_alias=True), "") == study.configs["again"]
    assert study.groups == {"papers": ["papers", "again"]}
    assert study.baseline == study.group("again") == "papers"


def test_with_seeds_every_run_is_made_once_with_each(write_study, tmp_path):
    study = plan.load(write_study(tmp_path, seeds=[3, 1]))
    assert list(study.configs) == ["papers-seed3", "papers-seed1", "top-seed3", "top-seed1"]
    assert [config.seed for config in study.configs.values()] == [3, 1, 3, 1]
    assert study.groups == {"papers": ["papers-seed3", "papers-seed1"], "top": ["top-seed3", "top-seed1"]}
    assert study.changes["top-seed1"] == {"model.pooled_share": 0.25, "seed": 1}
    assert study.baseline == "papers"
    assert study.opposite("top-seed1", list(study.configs)) == "papers-seed1"
    assert study.opposite("top-seed1", ["papers-seed3", "top-seed1"]) == "papers-seed3"  # the other one failed
    kept = tmp_path / "kept.yaml"
    kept.write_text(study.to_yaml())
    assert plan.load(kept) == study


def test_a_study_asks_all_analyses_of_its_runs_or_those_that_it_names(write_study, tmp_path):
    pairs = {"set": {"analysis.pairs_of_attributes": [["Smiling", "Bangs"]]}}
    assert tuple(plan.load(write_study(tmp_path)).asked) == plan.TESTED
    assert tuple(plan.load(write_study(tmp_path, **pairs)).asked) == (*plan.TESTED, *plan.OF_PAIRS)
    named = ["toggling", "localisation", "accuracy"]
    assert plan.load(write_study(tmp_path, analyses=named, **pairs)).asked == ["accuracy", "localisation", "toggling"]


# --- runs that start from others ---

STARTED = {"papers": {}, "open": {"model.mask_bias": 2.0}, "tuned": {"from": "papers", "training.epochs": 2}}


def test_a_run_starts_from_one_above_it(write_study, tmp_path):
    study = plan.load(write_study(tmp_path, runs=STARTED | {"again": {"from": "tuned"}, "other": {"from": "open"}}))
    assert study.starts == {"tuned": "papers", "again": "tuned", "other": "open"}
    assert plan.in_words(study.changes["tuned"]) == "from papers, training.epochs 2"
    directory = StudyDirectory(tmp_path / "somewhere")
    starts = [directory.config(study, name).training.start_from for name in ("papers", "tuned", "again")]
    assert starts == [None, f"{tmp_path}/somewhere/papers", f"{tmp_path}/somewhere/tuned"]
    kept = tmp_path / "kept.yaml"
    kept.write_text(study.to_yaml())
    assert plan.load(kept) == study


def test_with_seeds_it_starts_from_the_run_of_the_same_seed(write_study, tmp_path):
    study = plan.load(write_study(tmp_path, runs=STARTED, seeds=[3, 1]))
    assert study.starts == {"tuned-seed3": "papers-seed3", "tuned-seed1": "papers-seed1"}
    assert study.groups["tuned"] == ["tuned-seed3", "tuned-seed1"]
    assert study.changes["tuned-seed1"] == {"from": "papers", "training.epochs": 2, "seed": 1}


def test_the_same_changes_on_other_runs_are_other_settings(write_study, tmp_path):
    """And runs that differ by their seeds alone may start from such."""
    runs = STARTED | {"too": {"from": "open", "training.epochs": 2}}
    runs |= {"again": {"seed": 5}, "tuned_again": {"from": "again", "training.epochs": 2, "seed": 5}}
    study = plan.load(write_study(tmp_path, runs=runs))
    assert study.groups == {
        "papers": ["papers", "again"],
        "open": ["open"],
        "tuned": ["tuned", "tuned_again"],
        "too": ["too"],
    }
    with pytest.raises(UserError, match=r"runs\.x: expected settings .* Received: those of run tuned"):
        plan.load(write_study(tmp_path, runs=STARTED | {"x": {"training.epochs": 2, "from": "papers"}}))


@pytest.mark.parametrize("start", ["later", "x", "none", 3, ["papers"], {"papers": 1}, None])
def test_a_run_that_starts_from_itself_from_a_later_one_or_from_none_is_refused(write_study, tmp_path, start):
    runs = {"papers": {}, "x": {"from": start}, "later": {"from": "x"}}
    with pytest.raises(UserError, match=r"runs\.x\.from: expected a run that stands above it \(papers\)\. Received: "):
        plan.load(write_study(tmp_path, runs=runs))


def test_not_all_runs_start_from_one_of_the_study(write_study, tmp_path):
    with pytest.raises(UserError, match=r"from: unknown key"):
        plan.load(write_study(tmp_path, set={"from": "papers"}))
