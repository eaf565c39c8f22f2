"""A version is there whole or not at all, whatever happens while it is written."""

import re
import resource
import subprocess
import sys

import pytest

from mam_keras.errors import RunError, UserError
from mam_keras.export import run
from mam_keras.export.signatures import signatures
from mam_keras.export.versions import next_version

CUT_SHORT = """
import os, signal, sys
from mam_keras.export.versions import next_version

with next_version(sys.argv[1]) as (folder, version):
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"half a model")
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def versions(base):
    """What TF Serving would take for versions: entries whose names are whole numbers."""
    return sorted(entry.name for entry in base.iterdir() if re.fullmatch(r"[+-]?\d+", entry.name))


def write(base, content="a model"):
    with next_version(base) as (folder, version):
        (folder / "saved_model.pb").write_text(content)
    return version


def test_versions_are_counted_on_and_readable_for_others(tmp_path):
    base = tmp_path / "new" / "saved_model"
    assert [write(base, text).name for text in ("first", "second")] == ["1", "2"]
    (base / "17").mkdir()
    (base / "023").mkdir()
    (base / "notes").mkdir()
    assert write(base).name == "24"
    assert (base / "1" / "saved_model.pb").read_text() == "first"
    assert (base / "24").stat().st_mode & 0o777 == 0o755


def test_numbers_beyond_what_tf_serving_reads_are_no_versions(tmp_path):
    (tmp_path / str(2**63)).mkdir()
    (tmp_path / ("9" * 100)).mkdir()
    assert write(tmp_path).name == "1"
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(UserError, match=r"expected versions below 9223372036854775807, so .* Received: 92233"):
        write(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_while_it_is_written_no_version_is_to_be_seen(tmp_path):
    write(tmp_path)
    with next_version(tmp_path) as (folder, version):
        assert folder.parent == tmp_path  # the same file system
        assert versions(tmp_path) == ["1"] and version == tmp_path / "2"
    assert versions(tmp_path) == ["1", "2"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), next_version(tmp_path) as (folder, _):
        (folder / "saved_model.pb").write_text("half")
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_after_a_kill_there_is_no_half_version_and_the_next_export_tidies_up(tmp_path):
    write(tmp_path)
    done = subprocess.run([sys.executable, "-c", CUT_SHORT, tmp_path, "SIGKILL"], check=False)
    assert done.returncode == -9
    assert versions(tmp_path) == ["1"]
    assert len(list(tmp_path.iterdir())) == 2
    assert write(tmp_path).name == "2"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1", "2"]


def test_a_full_disk_leaves_the_versions_that_were_there(tmp_path, monkeypatch, network):
    """No file may grow beyond 20 kB: the SavedModel breaks off where it is written by TensorFlow itself."""
    served = signatures(network)["serving_default"]
    monkeypatch.setattr(run, "signatures", lambda *_: {"serving_default": served})  # one is quicker to trace
    write(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        line = f"{tmp_path / '2'}: cannot be written: File too large; what was there before stays"
        with pytest.raises(RunError, match=f"^{re.escape(line)}$"):
            run.write(network, {"preparation": {"fit": "crop"}}, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]
    version, _ = run.write(network, {"preparation": {"fit": "crop"}}, tmp_path)
    assert version.name == "2" and (version / "saved_model.pb").stat().st_size > 20_000


def test_two_exports_at_once_are_one_and_a_clear_refusal(tmp_path):
    with (
        next_version(tmp_path),
        pytest.raises(UserError, match=re.escape(f"{tmp_path}: expected a folder that nothing is exporting to")),
        next_version(tmp_path),
    ):
        pass
    assert versions(tmp_path) == ["1"]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    file = tmp_path / "saved_model"
    file.touch()
    with pytest.raises(UserError, match=re.escape(f"{file}: expected a folder that can be written")):
        write(file)
