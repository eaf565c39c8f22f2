"""`python -m mam_keras.report` as a user meets it: exit codes, one line each, which run is taken, what is kept."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mam_keras.export.run import run as write_export
from mam_keras.report.run import run as write_report
from mam_keras.run_directory import RunDirectory
from tests.export import encoded

ROOT = Path(__file__).parents[2]


def report(folder, *arguments, program=("-m", "mam_keras.report")):
    command = [sys.executable, *program, *map(str, arguments)]
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # of pytest's own
    environment = inherited | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def runs(analysed, tmp_path_factory):
    """A folder with runs/small, all of whose results are there, and an older runs/begun."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(analysed[0], folder / "runs/small")
    (folder / "runs/begun").mkdir()
    for name in ("config.yaml", "history.csv"):
        shutil.copy(analysed[0] / name, folder / "runs/begun" / name)
    os.utime(folder / "runs/begun/history.csv", (0, 0))
    return folder


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["runs/other"], "error: runs/other: expected a run directory (with config.yaml). Received: no such run"),
        (["runs"], "error: runs: expected a run directory (with config.yaml). Received: no such run"),
        (["runs/small", "--set", "model.channels=3"], "expected a setting of analysis or data"),
        (["runs/small", "--set", "analysis.exmples=3"], "did you mean 'examples'?"),
        (["runs/small", "--set", "analysis.examples=0"], "analysis.examples: expected greater than or equal to 1"),
        (["runs/small", "--set", "analysis"], "--set: expected section.key=value"),
        (["runs/small", "--images", "nowhere"], "error: --images nowhere: expected a folder of photographs."),
        (
            ["runs/small", "--images", "runs"],
            "error: --images runs: expected photographs (JPEG, PNG, GIF, BMP or WebP)",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(runs, arguments, line):
    done = report(runs, *arguments, "--out", "page")
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (runs / "page").exists()


@pytest.fixture
def read_only(analysed, tmp_path, monkeypatch):
    """A run without its results of `masks` that lies on a read-only disk, as far as this package can see."""
    path = shutil.copytree(analysed[0], tmp_path / "small")
    (path / "analysis/masks.test.json").unlink()
    beside = tempfile.mkstemp

    def mkstemp(*arguments, dir=None, **options):  # noqa: A002 (tempfile's own name)
        if path in (dir, *Path(dir or "/").parents):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return beside(*arguments, dir=dir, **options)

    def file(dir=None):  # noqa: A002
        os.close(mkstemp(dir=dir)[0])

    monkeypatch.setattr("tempfile.mkstemp", mkstemp)
    monkeypatch.setattr("tempfile.TemporaryFile", file)
    return path


def test_a_run_that_cannot_be_written_is_reported_and_exported(read_only, tmp_path, capsys):
    def there():
        return {file: file.stat().st_mtime_ns for file in read_only.rglob("*")}

    before = there()
    write_report([read_only], tmp_path / "page")
    said = capsys.readouterr().out
    assert "masks-importance" in (tmp_path / "page/index.html").read_text()
    (read_only / "analysis/adaptation.validation.json").unlink()
    del before[read_only / "analysis/adaptation.validation.json"]
    before[read_only / "analysis"] = (read_only / "analysis").stat().st_mtime_ns
    write_export(RunDirectory(read_only), tmp_path / "versions")
    assert there() == before
    note = f"note: {read_only / 'analysis'} cannot be written (Read-only file system): what it lacks is computed, "
    assert said.startswith(note) and said.count("note: ") == 1
    found = capsys.readouterr().out
    assert "classify_automatic" in found and "left out" not in found


def test_without_a_run_there_is_nothing_to_report(tmp_path):
    done = report(tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: runs: expected a run directory in it, or RUN_DIR to be given. Received: none\n"


def test_the_newest_run_is_taken_and_a_begun_one_gets_its_page_too(runs):
    done = report(runs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Written: reports/small/index.html\n"
    (small,) = json.loads((runs / "reports/small/figures.json").read_text())
    assert small["run"] == "small"
    evaluated = json.loads((runs / "runs/small/evaluation.json").read_text())["splits"]["test"]["heads"]["attributes"]
    assert small["figures"]["accuracy"]["value"] == pytest.approx(evaluated["mean"]["accuracy"], abs=1e-9)
    assert small["figures"]["localisation"].keys() == {"value", "low", "high"}
    done = report(runs, "runs/begun")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((runs / "reports/begun/figures.json").read_text()) == [{"run": "begun", "figures": {}}]
    assert "not finished" in (runs / "reports/begun/index.html").read_text()


def test_drawing_again_imports_no_tensorflow(runs):
    program = (
        "import sys; sys.argv = ['report', 'runs/small', '--out', 'again']; "
        "from mam_keras.report.__main__ import main; main(); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = report(runs, program=("-c", program))
    assert done.returncode == 0, done.stderr


def test_photographs_are_shown_and_junk_is_named(runs):
    album = runs / "album"
    album.mkdir()
    (album / "notes.txt").write_text("no photograph")
    (album / "me.jpg").write_bytes(encoded.sound()["jpeg"])
    done = report(runs, "runs/small", "--images", "album", "--out", "page-with")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "note: left out of album: notes.txt: not a JPEG, PNG, GIF, BMP or WebP",
        "Written: page-with/index.html",
    ]
    assert "Your photographs" in (runs / "page-with/index.html").read_text()
