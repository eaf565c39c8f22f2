"""The notebooks run from the first cell to the last, in an empty folder, on what they draw themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "reports/notebooks").glob("*.ipynb"))
CHECKS = {
    "masked_heads_on_your_own_backbone": "assert min(accuracy.values()) > 0.9 and min(energy.values()) > 2",
    "own_photographs_from_csv_to_page": (
        "assert found.targets == ('cross', 'disc', 'stripes')\n"
        "assert 'stripes' in Path('reports/flags/index.html').read_text()"
    ),
}


def test_there_are_two():
    assert {path.stem for path in NOTEBOOKS} == set(CHECKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    """Their cells have no magic of IPython's, so that they are one program."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    program = tmp_path / "program.py"
    program.write_text("\n\n".join([*cells, CHECKS[path.stem]]), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
