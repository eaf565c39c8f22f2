"""A study as a user runs it: two runs, ended by SIGTERM in the second and carried on."""

import csv
import json
import signal
import time

import pytest

from mam_keras import child
from mam_keras import config as configuration
from mam_keras.study.study_directory import StudyDirectory
from tests.report import markup

EPOCHS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_study):
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, set={"training.epochs": EPOCHS, "analysis.pairs_of_attributes": [["Smiling", "Bangs"]]})
    return folder


@pytest.fixture(scope="module")
def directory(folder):
    return StudyDirectory(folder / "runs/small-study")


def written(run):
    return {file: file.stat().st_mtime_ns for file in run.path.rglob("*") if file.is_file() and file != run.config}


@pytest.fixture(scope="module")
def stopped(folder, directory, start):
    """What the first start ended with, what it printed, and the files of the finished run."""
    process = start(folder, "study.yaml", "--set", "model.channels=5")
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("run 2/2"):
            break
    while not directory.run("top").last_checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=100)
    return process.returncode, output + rest, errors, written(directory.run("papers"))


@pytest.fixture(scope="module")
def finished(stopped, folder, start):
    process = start(folder, "study.yaml", "--set", "model.channels=5")
    output, errors = process.communicate(timeout=250)
    assert errors == ""
    assert process.returncode == 0
    return output


def test_a_stop_has_its_exit_code_and_line(stopped):
    code, output, errors, _ = stopped
    assert code == 143
    assert errors == "stopped; the same command carries on\n"
    assert "run 1/2: papers: validation accuracy" in output


def test_the_finished_run_is_left_alone_and_the_begun_one_carried_on(finished, stopped, directory):
    before = stopped[-1]
    assert {file: time for file, time in written(directory.run("papers")).items() if file in before} == before
    log = [line for line in child.log(directory.run("top")).read_text().splitlines() if line.startswith("epoch")]
    epochs = [int(line.split()[1].split("/")[0]) for line in log]
    assert sorted(set(epochs)) == list(range(1, EPOCHS + 1))
    assert len(epochs) <= EPOCHS + 1  # the running one is repeated if it had been printed


def test_runs_are_runs_of_ours_each_with_its_own_settings(finished, directory):
    for name, share in (("papers", 1.0), ("top", 0.25)):
        run = directory.run(name)
        config = configuration.load(run.config)
        assert (config.name, config.model.pooled_share, config.model.channels) == (name, share, 5)
        assert set(json.loads(run.evaluation.read_text())["splits"]) == {"validation", "test"}
        assert not run.checkpoints.exists()


@pytest.fixture(scope="module")
def found(finished, directory):
    return json.loads(directory.results.read_text())


def test_what_was_found_is_what_the_runs_files_say(found, directory):
    assert [one["run"] for one in found["runs"]] == ["papers", "top"]
    for one in found["runs"]:
        splits = json.loads(directory.run(one["run"]).evaluation.read_text())["splits"]
        validation, test = (splits[split]["heads"]["attributes"]["mean"] for split in ("validation", "test"))
        for metric in ("accuracy", "balanced_accuracy"):
            assert one["validation"][metric][0] == pytest.approx(validation[metric], abs=1e-12)
            assert one["test"][metric][0] == pytest.approx(test[metric], abs=1e-12)
        assert one["validation"]["noise_robustness"] != one["test"]["noise_robustness"]  # each of its own images
        assert 0 < one["test"]["mask_mean"][0] < 1
        assert (
            one["test"]["others_accuracy:Smiling:Bangs"][1] is not None and "toggled_other:Smiling:Bangs" in one["test"]
        )
    papers, top = found["runs"]
    assert papers["difference"] == {}
    difference = top["test"]["accuracy"][0] - papers["test"]["accuracy"][0]
    assert top["difference"]["accuracy"][0] == pytest.approx(difference, abs=1e-12)
    assert found["baseline"] == "papers"


def test_every_run_is_a_row_of_the_table(found, directory):
    with directory.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["changes"]) for row in rows] == [("papers", "nothing"), ("top", "model.pooled_share 0.25")]
    assert float(rows[1]["test.accuracy.low"]) == found["runs"][1]["test"]["accuracy"][1]
    assert rows[0]["difference.accuracy"] == ""
    assert float(rows[1]["validation.noise_robustness"]) == found["runs"][1]["validation"]["noise_robustness"][0]


def test_the_page_is_whole_and_the_command_says_where_it_is(finished, folder):
    page = (folder / "reports/small/index.html").read_text(encoding="utf-8")
    drawn = markup.check(page)
    assert "Written: runs/small-study/study.json" in finished
    assert finished.strip().endswith("reports/small/index.html")
    facts = dict(zip((one[2] for one in drawn.all("dt")), (one[2] for one in drawn.all("dd")), strict=False))
    assert facts["Budget"] == f"{EPOCHS} epochs, batches of 16; the same for every run"
    assert "16 validation images, 8 test images" in facts["Data"]


def test_beside_the_page_stands_what_a_table_may_quote(found, folder):
    papers, top = json.loads((folder / "reports/small/figures.json").read_text())
    assert (papers["run"], papers["less"], papers["seeds"]) == ("papers", {"papers": {}}, [found["runs"][0]["seed"]])
    value, low, high = found["groups"][1]["test"]["accuracy"]
    assert top["figures"]["accuracy"] == {"value": value, "low": low, "high": high}
    assert top["less"]["papers"]["accuracy"]["value"] == found["groups"][1]["difference"]["accuracy"][0]


def test_again_it_trains_and_computes_nothing_and_draws_the_same_page(found, folder, start):
    page = folder / "reports/small/index.html"
    process = start(folder, "study.yaml", "--set", "model.channels=5", "--out", "again")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "analysis " not in output
    assert "run 1/2" not in output.replace("analyses of run 1/2", "")
    assert (folder / "again/index.html").read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_a_study_that_names_its_analyses_asks_and_shows_no_other(found, folder, directory, start, write_study):
    own = {"set": {"training.epochs": EPOCHS}, "analyses": ["accuracy", "cost"], "choose_by": "accuracy"}
    whole, kept = folder.joinpath("study.yaml").read_text(), directory.results.read_text()
    write_study(folder, **own)
    process = start(folder, "study.yaml", "--set", "model.channels=5", "--out", "named")
    _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    narrow = json.loads(directory.results.read_text())
    assert list(narrow["measures"]) == ["accuracy", "cost", "directing"]
    assert set(narrow["runs"][0]["validation"]) < set(found["runs"][0]["validation"])
    drawn = markup.check((folder / "named/index.html").read_text(encoding="utf-8"))
    assert [one[2] for one in drawn.all("h2")] == ["Summary", "Side by side", "Choice", "Runs", "Cost", "Training"]
    folder.joinpath("study.yaml").write_text(whole)
    directory.results.write_text(kept)


def test_a_finished_run_without_its_model_is_named(found, folder, directory, start):
    run = directory.run("top")
    run.model.rename(folder / "kept")
    kept = [*run.path.joinpath("analysis").glob("*.validation.json")]
    for file in kept:
        file.rename(folder / file.name)
    process = start(folder, "study.yaml", "--set", "model.channels=5", "--out", "again")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith("error: runs/small-study/top: expected a run that can be measured. Received: the run is")
    (folder / "kept").rename(run.model)
    for file in kept:
        (folder / file.name).rename(file)


def test_a_wrong_study_ends_with_2_before_anything_is_loaded(folder, start):
    process = start(folder, "study.yaml", "--set", "model.chanels=5", "--run", "elsewhere")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert errors.startswith(
        "error: study.yaml: runs.papers, on bases/tiny.yaml: model.chanels: unknown key; did you mean"
    )
    assert not (folder / "elsewhere").exists()
