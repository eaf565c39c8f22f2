"""`mam-keras explain RUN_DIR IMAGE...`: what a run answers about images, and what it looks at."""

from mam_keras import command_line


def main(arguments=None):
    from pathlib import Path

    from mam_keras import config
    from mam_keras.errors import UserError
    from mam_keras.run_directory import RunDirectory

    parser = command_line.parser(
        "explain",
        "Answer about images, and draw what the network looks at over each of them.",
        "mam-keras explain runs/demo face.jpg",
    )
    parser.add_argument("run", metavar="RUN_DIR")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="files: JPEG, PNG, GIF, BMP or WebP")
    parser.add_argument(
        "--out", metavar="DIR", default="explained", help="where JSON and PNG go; explained/ if left out"
    )
    parser.add_argument(
        "--targets",
        metavar="A,B",
        help="whose maps are drawn, or all; those answered with yes if left out (of classes, the answer)",
    )
    asked = parser.parse_args(arguments)
    targets = command_line.names("--targets", asked.targets)
    directory = RunDirectory(asked.run)
    if not directory.model.exists():
        raise UserError(f"{directory.path}: expected the directory of a finished run. Received: no model.keras in it")
    config.load(directory.config)  # a mistake in it is told before TensorFlow is imported
    if not any(Path(image).is_file() for image in asked.images):
        received = "a folder" if Path(asked.images[0]).is_dir() else "no such file"
        raise UserError(f"{asked.images[0]}: expected an image's file. Received: {received}")

    command_line.import_tensorflow()
    from mam_keras.explain.run import run

    run(directory, asked.images, asked.out, targets)


if __name__ == "__main__":
    command_line.run(main)
