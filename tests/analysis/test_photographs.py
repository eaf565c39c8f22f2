"""The user's own photographs: what lies in their folder, what is left out of it, and what is kept."""

import json
import os

import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis import photographs
from mam_keras.data.images import prepare, read
from mam_keras.errors import UserError
from mam_keras.files import digest
from tests.analysis import untrained
from tests.export import encoded

HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture
def album(tmp_path):
    """A folder with four photographs and much else."""
    folder = tmp_path / "album"
    folder.mkdir()
    sound, huge = encoded.sound(), encoded.huge()
    (folder / "a.jpg").write_bytes(sound["jpeg"])
    (folder / "b.txt").write_bytes(sound["webp"])  # it is the content that counts
    (folder / HOSTILE).write_bytes(sound["transparent png"])
    (folder / "c.jpg").symlink_to(folder / "a.jpg")
    (folder / "notes.txt").write_text("no photograph")
    (folder / "empty.jpg").touch()
    (folder / "broken.jpg").write_bytes(sound["jpeg"][: len(sound["jpeg"]) // 2])
    (folder / "huge.png").write_bytes(huge["png"])
    (folder / "folder.jpg").mkdir()
    (folder / "lost.jpg").symlink_to(folder / "nowhere")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / os.fsdecode(b"\xff\nline.txt")).touch()
    return folder


def test_photographs_are_prepared_as_everywhere_and_the_rest_is_named(album):
    run = untrained.run()
    found = photographs.compute(run, "test", photographs.folder(album))
    assert found.arrays["ids"].tolist() == [HOSTILE, "a.jpg", "b.txt", "c.jpg"]
    expected = [prepare(read(encoded.sound()[name])[0], 16) for name in ("transparent png", "jpeg", "webp", "jpeg")]
    np.testing.assert_array_equal(found.arrays["images"], expected)
    assert "labels" not in found.arrays
    left_out = dict(found.values["left_out"])
    assert left_out == {
        "broken.jpg": "jpeg::Uncompress failed. Invalid JPEG data or crop window.",
        "empty.jpg": "not a JPEG, PNG, GIF, BMP or WebP",
        "folder.jpg": "a folder",
        "huge.png": "expected at most 33,554,432 pixels",
        "loop.jpg": "not a file",
        "lost.jpg": "not a file",
        "notes.txt": "not a JPEG, PNG, GIF, BMP or WebP",
        "pipe.jpg": "not a file",
        "? line.txt": "not a JPEG, PNG, GIF, BMP or WebP",
    }
    json.dumps(found.values).encode()  # as it is kept


def test_only_so_many_and_not_too_large_ones_are_read(album, monkeypatch):
    monkeypatch.setattr(photographs, "MOST", 2)
    monkeypatch.setattr(photographs, "MAX_BYTES", (album / "a.jpg").stat().st_size)
    (album / "z.png").write_bytes(encoded.png(8, 8) + bytes(100_000))
    folder = photographs.folder(album)
    assert [file.name for file in folder.files] == [HOSTILE, "a.jpg"]
    assert dict(folder.left_out)["b.txt"] == "only the first 2 are shown"
    assert dict(folder.left_out)["z.png"] == "larger than 0 MiB"


def test_the_digest_is_of_names_and_content(album):
    before = photographs.folder(album).digest
    (album / "notes.txt").unlink()
    (album / "a.jpg").touch()
    assert photographs.folder(album).digest == before
    (album / "b.txt").rename(album / "b.webp")
    renamed = photographs.folder(album).digest
    (album / "a.jpg").write_bytes(encoded.sound()["bmp"])
    assert len({before, renamed, photographs.folder(album).digest}) == 3


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"--images .*nowhere: expected a folder of photographs. Received: No such file"
    ):
        photographs.folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="Received: an empty folder"):
        photographs.folder(tmp_path)
    (tmp_path / "a.txt").write_text("no photograph")
    with pytest.raises(UserError, match=r"Received: Not a directory"):
        photographs.folder(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"Received: a.txt \(not a JPEG"):
        photographs.folder(tmp_path)
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff and no more")
    with pytest.raises(UserError, match=r"a.txt \(.*; b.jpg \(.*Invalid JPEG"):
        photographs.compute(untrained.run(), "test", photographs.folder(tmp_path))


def test_what_was_found_is_kept_by_what_is_in_the_folder(album, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(type(trained), "folder", tmp_path / "analysis")
    folder = photographs.folder(album)
    found = analysis.compute_missing(trained, photographs=folder, names=())[0]["photographs"]
    kept = tmp_path / "analysis" / f"photographs-{folder.digest}.npz"
    before = digest(kept), kept.stat().st_mtime_ns
    again = analysis.compute_missing(trained, photographs=folder, names=())[0]["photographs"]
    assert (digest(kept), kept.stat().st_mtime_ns) == before
    np.testing.assert_array_equal(again.arrays["map.contributions"], found.arrays["map.contributions"])
    assert list(map(list, found.values["left_out"])) == again.values["left_out"]
