"""`mam-keras tune CONFIG.yaml` searches for good settings. TensorFlow is imported once all is checked."""

import contextlib

from mam_keras import command_line


def main(arguments=None):
    from mam_keras import config, extras
    from mam_keras.files import naming_full_disk
    from mam_keras.search_directory import SearchDirectory
    from mam_keras.tune import cluster, space

    parser = command_line.parser(
        "tune",
        "Search for lambda, or any other setting. The same command again carries on an unfinished search.",
        "mam-keras tune configs/tune_celeba_small.yaml",
    )
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="change one setting; may be repeated"
    )
    parser.add_argument(
        "--run", metavar="DIR", help="the search's directory; runs/<the configuration's name>-tuning if left out"
    )
    arguments = parser.parse_args(arguments)
    settings = config.load(arguments.config, arguments.set)
    settings = settings.model_copy(update={"tune": settings.tune or config.Tune()})
    dimensions = space.dimensions(settings, arguments.config)
    extras.require("tune", "mam-keras tune")
    role = cluster.role()
    directory = SearchDirectory(arguments.run or f"runs/{settings.name}-tuning")
    opened = directory.open(settings) if role != "worker" else contextlib.nullcontext()
    with opened, naming_full_disk(directory.path):  # Keras Tuner writes there, too
        command_line.import_tensorflow()
        import tensorflow as tf

        from mam_keras.tune.run import run

        tf.config.set_visible_devices([], "GPU")  # they are the trials', which are processes of their own

        run(settings, dimensions, directory, role)


if __name__ == "__main__":
    command_line.run(main)
