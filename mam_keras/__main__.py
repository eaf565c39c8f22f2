"""`mam-keras COMMAND ...`, or `python -m mam_keras COMMAND ...`: the same as `python -m mam_keras.COMMAND ...`."""

import argparse
import importlib
import sys

from mam_keras import command_line

COMMANDS = ("fit", "report", "tune", "study", "export")


def main():
    parser = argparse.ArgumentParser(
        prog="mam-keras",
        description="Train image classifiers that show what they look at, and report, search, compare, serve them.",
        epilog="mam-keras COMMAND --help says more.",
    )
    parser.add_argument("command", choices=COMMANDS)
    command = parser.parse_args(sys.argv[1:2]).command
    del sys.argv[1]
    command_line.run(lambda: importlib.import_module(f"mam_keras.{command}.__main__").main())


if __name__ == "__main__":
    main()
