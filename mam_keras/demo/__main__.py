"""`mam-keras demo` trains on drawn faces and reports, in any folder: its configuration is in the package."""

from mam_keras import command_line


def main(arguments=None):
    from pathlib import Path

    from mam_keras.fit.__main__ import main as fit
    from mam_keras.report.__main__ import main as report
    from mam_keras.run_directory import RunDirectory

    parser = command_line.parser(
        "demo",
        "Train on drawn faces and report: runs/demo, reports/demo. Nothing is downloaded; two cores take some minutes. "
        "The same command again carries on, or draws the report alone.",
        "mam-keras demo",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="change one setting; may be repeated"
    )
    asked = parser.parse_args(arguments)
    run = RunDirectory("runs/demo")
    if asked.set or not run.finished:
        changes = [part for setting in asked.set for part in ("--set", setting)]
        fit([str(Path(__file__).parents[1] / "configs/demo.yaml"), "--run", str(run.path), *changes])
    report([str(run.path)])
    print("Next: open reports/demo/index.html in a browser; for images of your own, mam-keras init FOLDER-OR-CSV")


if __name__ == "__main__":
    command_line.run(main)
