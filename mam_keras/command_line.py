"""What every command line shares: exit codes, one clear line for every way to fail, and libraries and streams that are
what the product needs, whatever a user's machine says of them."""

import argparse
import contextlib
import csv
import ctypes
import importlib
import io
import os
import re
import signal
import sys
import traceback

from mam_keras.errors import RunError, UserError

STOPPED = "stopped; the same command carries on"
SHOW_ALL = "MAM_KERAS_DEBUG"  # set to anything: tracebacks, and TensorFlow's start-up messages
_MALLOC = {  # glibc's malloc.h, mallopt(3)
    -4: 0,  # M_MMAP_MAX: no allocation is a mapping of its own, unmapped when it is freed
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: the heap is not cut back
    -2: 2**26,  # M_TOP_PAD: it grows by 64 MB at a time
}
_OBEYED = re.compile(  # by terminals: control characters, and those that turn the order of the others around
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Shown:
    """A stream on which names of files, classes and people are seen as they are: what a terminal would obey, or cannot
    be encoded at all, is written as an escape. All commands print through it.
    """

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        return self._stream.write(_OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text))

    def __getattr__(self, name):
        return getattr(self._stream, name)


def parser(command, description, example):
    """What reads the arguments of `mam-keras COMMAND`; its help ends with an example."""
    return argparse.ArgumentParser(prog=f"mam-keras {command}", description=description, epilog=f"Example: {example}")


def names(option, text):
    """Names that an option gives, each once: separated by commas, quoted as in a CSV file where they hold one.

    None where it is left out. Raises `UserError` for one that is empty.
    """
    if text is None:
        return None
    try:
        found = [name.strip() for name in next(csv.reader([text], skipinitialspace=True, strict=True), [])]
    except csv.Error:  # of a quotation mark that is not closed
        found = []
    if not found or not all(found):
        raise UserError(f"{option}: expected names, separated by commas. Received: {text!r}")
    return list(dict.fromkeys(found))


def run(main):
    """Runs `main()` and exits: 0 done; 2 the user's input is at fault; 130 Ctrl-C; 143 SIGTERM; 1 anything else.

    A command imports in `main` what takes time, so that signals are heeded from the start.
    """
    signal.signal(signal.SIGTERM, lambda *_: stop(143))
    _open_streams()
    sys.stdout, sys.stderr = Shown(sys.stdout), Shown(sys.stderr)
    keep_freed_memory()
    try:
        main()
        code, line = 0, None
    except UserError as error:
        code, line = 2, f"error: {error}"
    except KeyboardInterrupt:
        code, line = 130, STOPPED
    except RunError as error:
        code, line = 1, f"error: {error}"
    except Exception as error:
        if SHOW_ALL in os.environ:
            traceback.print_exc()
        code, line = 1, f"error: {_describe(error)}"
    if line:
        print(" ".join(line.split()), file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == 130:
        os._exit(code)  # threads of tf.data that still read would hold the process up
    sys.exit(code)


def keep_freed_memory():
    """Has this process's malloc reuse what is freed, instead of handing it back to the system and asking again.

    TensorFlow allocates and frees every tensor at every step. Large ones would be new pages from the system each time,
    which it clears first: 10,000 of them and 8 % of a step's time in a virtual machine with two idle cores, more beside
    other processes (`tests/benchmarks/allocation.py`). Does nothing where the C library is not glibc.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option, value in _MALLOC.items():
            library.mallopt(option, value)


def import_tensorflow():
    """Imports TensorFlow without its start-up chatter, and Keras on it as the product needs it: channels last, float32.

    What keras.json and KERAS_BACKEND say is left to other programs. Raises `UserError` where Keras has been imported on
    another backend, or refuses its keras.json.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # for child processes, too
    try:
        with _silence() if "tensorflow" not in sys.modules and SHOW_ALL not in os.environ else contextlib.nullcontext():
            importlib.import_module("tensorflow")
        keras = importlib.import_module("keras")
    except (ValueError, TypeError, AttributeError, OSError) as error:
        folder = os.environ.get("KERAS_HOME", "~/.keras")
        raise UserError(f"{folder}/keras.json: expected settings that Keras can read. Received: {error}") from None
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            "KERAS_BACKEND: expected tensorflow, before Keras is imported. Received: Keras, imported on "
            f"{keras.backend.backend()}"
        )
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def import_matplotlib():
    """Imports matplotlib without what a user's matplotlibrc and MPLBACKEND say, which can also be broken."""
    os.environ |= {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg"}
    with contextlib.chdir(os.sep):  # a matplotlibrc in the working directory would come first
        importlib.import_module("matplotlib")


def stop(code):
    """Ends the process at once, saying that the same command carries on; from a signal's handler or any thread."""
    # Not an exception: TensorFlow's C++ would swallow it now and then. Whatever is written is written beside its place.
    with contextlib.suppress(RuntimeError, OSError):  # the program may have been printing just then
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{STOPPED}\n".encode())
    os._exit(code)


class _Output(io.FileIO):
    """A stream whose failures end nothing: training goes on when whoever reads it has left, or its disk is full."""

    def write(self, text):
        try:
            written = super().write(text)
        except OSError:
            written = None
        return len(text) if written is None else written


def _open_streams():
    """Standard streams that are there, and that print something else for what their encoding lacks.

    One that is missing becomes the null device before a file takes its number; one that is not the system's own, as a
    test's, is left alone.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free: this one
        stream = getattr(sys, name)
        if number and stream is getattr(sys, f"__{name}__"):
            how = {"encoding": "utf-8"}
            if stream:
                stream.flush()
                how = {kept: getattr(stream, kept) for kept in ("encoding", "write_through")}
            buffered = io.BufferedWriter(_Output(number, "w", closefd=False))
            errors = "replace" if name == "stdout" else "backslashreplace"  # "?" keeps the width of tables
            # By line, so that a log in a file shows what there is so far
            setattr(sys, name, io.TextIOWrapper(buffered, errors=errors, line_buffering=True, **how))


@contextlib.contextmanager
def _silence():
    """Nothing reaches standard error meanwhile; no setting of TensorFlow's own silences all that it says."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # whatever it was: importing TensorFlow leaves a 1 to child processes
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _describe(error):
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    message = re.sub(r"\{\{.*?\}\}", "", str(error))  # TensorFlow's names of graph nodes
    first = message.strip().splitlines()[:1]
    return f"{type(error).__name__}: {first[0] if first else ''} ({SHOW_ALL}=1 shows where)"
