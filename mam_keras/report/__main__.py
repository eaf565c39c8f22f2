"""`mam-keras report [RUN_DIR ...]` computes what is missing and draws the page."""

from pathlib import Path

from mam_keras import command_line
from mam_keras.errors import UserError


def main(arguments=None):
    parser = command_line.parser(
        "report",
        "Analyse a run, keep the results in its analysis/, and draw a page from them.",
        "mam-keras report runs/demo",
    )
    parser.add_argument("runs", metavar="RUN_DIR", nargs="*", help="runs to compare; the newest of runs/ if left out")
    parser.add_argument("--out", metavar="DIR", help="where the page goes; reports/<the first run's name> if left out")
    parser.add_argument("--data", metavar="FILE.yaml", help="other labelled images, to evaluate the model on instead")
    parser.add_argument("--images", metavar="DIR", help="a folder of photographs to explore as well")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        help="change one setting of analysis or data; may be repeated",
    )
    arguments = parser.parse_args(arguments)
    command_line.import_matplotlib()
    from mam_keras.report.run import run

    runs = arguments.runs or [newest(Path("runs"))]
    run(runs, arguments.out, arguments.images, arguments.set, arguments.data)


def newest(folder):
    """The run directory, or finished search, in `folder` that was worked on last. Raises `UserError` where none is."""
    runs = {path.parent: path.stat().st_mtime for path in folder.glob("*/history.csv")}
    runs |= {path.parent: path.stat().st_mtime for path in folder.glob("*/evaluation.json")}
    runs |= {path.parent: path.stat().st_mtime for path in folder.glob("*/tuning.json")}
    if not runs:
        raise UserError(f"{folder}: expected a run directory in it, or RUN_DIR to be given. Received: none")
    return max(runs, key=runs.get)


if __name__ == "__main__":
    command_line.run(main)
