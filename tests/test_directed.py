"""What a directed run says of itself: kept and read, also when its folder has moved, and refused when damaged."""

import shutil

import pytest

from mam_keras import directed
from mam_keras.errors import UserError
from mam_keras.files import digest

TRIED = {"attributes": ["a"], "settings": {}, "regions": {"attributes": {"a": {"rectangles": [[0, 0, 1, 1]]}}}}


@pytest.fixture
def told(tmp_path):
    before, path = tmp_path / "runs/before", tmp_path / "runs/after"
    for folder in (before, path):
        folder.mkdir(parents=True)
    (before / "model.keras").write_bytes(b"a model")
    found = directed.Directed(
        path, before, digest(before / "model.keras"), path / "control", ("a", "b"), {"training.epochs": 2}, [TRIED]
    )
    directed.write(found)
    return found


def test_what_is_written_is_read_again(told):
    assert directed.read(told.path) == told
    assert told.regions == told.path / "regions.yaml"
    assert told.unchanged


def test_a_run_that_was_not_directed_says_nothing(told):
    assert directed.read(told.before) is None


def test_runs_that_move_together_still_find_each_other(told, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.move(told.path.parent, moved)
    found = directed.read(moved / "after")
    assert (found.before, found.control) == (moved / "before", moved / "after/control")
    assert found.unchanged


def test_a_run_before_that_is_gone_or_another_one_is_not_unchanged(told):
    (told.before / "model.keras").write_bytes(b"another model")
    assert not directed.read(told.path).unchanged
    shutil.rmtree(told.before)
    assert not directed.read(told.path).unchanged


@pytest.mark.parametrize(
    "old, new", [('"a"', '"c"'), ("../before", "../befor"), ('"settings"', '"setting"'), ("{", "")]
)
def test_a_damaged_file_is_named_in_one_line(told, old, new):
    file = told.path / directed.FILE
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(
        UserError, match=r"^\S*directed\.json: expected what a directed run says of itself\. Received: [^\n]+$"
    ):
        directed.read(told.path)
