"""`mam-keras COMMAND ...`, or `python -m mam_keras COMMAND ...`: the same as `python -m mam_keras.COMMAND ...`."""

import argparse
import importlib
import sys

from mam_keras import __version__, command_line

COMMANDS = {
    "init": "look at your own images and write a configuration for them",
    "fit": "train and evaluate a model",
    "direct": "mark where it should look, fine-tune, and see whether it got better",
    "report": "analyse a run and draw its page",
    "explain": "answer about images, and draw what the network looks at",
    "tune": "search for good settings",
    "study": "train runs that differ in a few settings, and compare them",
    "export": "write a model for TF Serving",
    "demo": "train on drawn faces and report, in an empty folder",
}


def main():
    told = [f"  mam-keras {name:8} {does}" for name, does in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="mam-keras",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="\n".join(["Image classifiers that show what they look at.", "", *told]),
        epilog="mam-keras COMMAND --help says more, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"mam-keras {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    command = parser.parse_args(sys.argv[1:2]).command
    del sys.argv[1]
    command_line.run(lambda: importlib.import_module(f"mam_keras.{command}.__main__").main())


if __name__ == "__main__":
    main()
