"""All tables and arrays of a page in one file, for whoever wants to go on computing."""

import io
import json
import zipfile

import numpy as np

from mam_keras.files import replacing
from mam_keras.report import tables
from mam_keras.report.blocks import Table

_SAME = (1980, 1, 1, 0, 0, 0)  # the time of every entry, so that the same results give the same file


def write(path, run, sections):
    """A ZIP of tables/NAME.csv of all `blocks.Section`s, and of ANALYSIS.json and ANALYSIS.npz of a `ReportedRun`.

    Arrays are as the analysis gave them: the docstring of `mam_keras.analysis.ANALYSIS.compute` says what they are.
    """
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for table in (block for section in sections for block in section.blocks if isinstance(block, Table)):
            _add(archive, f"tables/{table.name}.csv", tables.as_csv(table).encode())
        for name, result in run.results.items():
            _add(archive, f"{name}.json", json.dumps(result.values, indent=1).encode())
            if result.arrays:
                content = io.BytesIO()
                np.savez_compressed(content, **result.arrays)
                _add(archive, f"{name}.npz", content.getvalue())


def _add(archive, name, content):
    archive.writestr(zipfile.ZipInfo(name, _SAME), content, zipfile.ZIP_DEFLATED)
