"""`mam-keras fit CONFIG.yaml` trains and evaluates one model. TensorFlow is imported once all is checked."""

import contextlib
import json
from pathlib import Path

from mam_keras import command_line


def main(arguments=None):
    from mam_keras import config, data
    from mam_keras.fit import cluster, guidance
    from mam_keras.run_directory import RunDirectory, located

    parser = command_line.parser(
        "fit",
        "Train and evaluate a model. The same command again carries on an unfinished run.",
        "mam-keras fit configs/demo.yaml --set training.epochs=3",
    )
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="change one setting; may be repeated"
    )
    parser.add_argument("--run", metavar="DIR", help="the run directory; runs/<the configuration's name> if left out")
    parser.add_argument("--overwrite", action="store_true", help="start anew where a run already exists")
    parser.add_argument(
        "--from", dest="start", metavar="RUN_DIR", help="start from this run's weights, as far as they fit"
    )
    arguments = parser.parse_args(arguments)
    start = [] if arguments.start is None else [f"training.start_from={json.dumps(arguments.start)}"]
    settings = config.load(arguments.config, [*arguments.set, *start])
    directory = RunDirectory(arguments.run or f"runs/{settings.name}")
    workers = cluster.read(settings.distribute.strategy)
    writes = workers is None or workers.chief
    source = None
    if not settings.data.NEEDS_TENSORFLOW:  # before anything is overwritten
        there = located(settings, Path.cwd(), None if arguments.overwrite else directory.trained_in)
        source = data.load(there.data)
        guidance.require_known(there, source.attributes)
    with directory.open(settings, arguments.overwrite) if writes else contextlib.nullcontext():
        command_line.import_tensorflow()
        from mam_keras.fit.run import run

        run(settings, directory, workers, source)


if __name__ == "__main__":
    command_line.run(main)
