"""`mam-keras export RUN_DIR` writes the run's SavedModel. TensorFlow is imported once all is checked."""

from mam_keras import command_line
from mam_keras.errors import UserError


def main(arguments=None):
    from mam_keras import config, extras
    from mam_keras.run_directory import RunDirectory

    parser = command_line.parser(
        "export",
        "Write a finished run's model for TF Serving, as the next version in a folder of versions.",
        "mam-keras export runs/demo",
    )
    parser.add_argument("run", metavar="RUN_DIR")
    parser.add_argument("--out", metavar="DIR", help="the folder of versions; RUN_DIR/saved_model if left out")
    arguments = parser.parse_args(arguments)
    directory = RunDirectory(arguments.run)
    if not directory.finished:
        raise UserError(
            f"{directory.path}: expected the directory of a finished run. Received: no evaluation.json in it"
        )
    extras.require("serve", "mam-keras export")
    config.load(directory.config)  # a mistake in it is told before TensorFlow is imported

    command_line.import_tensorflow()
    from mam_keras.export.run import run

    run(directory, arguments.out or directory.path / "saved_model")


if __name__ == "__main__":
    command_line.run(main)
