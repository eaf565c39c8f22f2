"""Exit codes and the one line of every way to end. (Signals in the middle of a training: `fit/test_resume.py`.)"""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras import __version__, command_line
from mam_keras.__main__ import COMMANDS
from mam_keras.errors import UserError
from mam_keras.files import remove_partial

ROOT = Path(__file__).parents[1]

OPENING = """
import os, signal, sys
from mam_keras import __version__, command_line
from mam_keras.errors import RunError, UserError

def stop(number):
    print("working")
    os.kill(os.getpid(), number)
    signal.pause()

def fail(error):
    raise error

"""
SHOWS_WHERE = "(MAM_KERAS_DEBUG=1 shows where)"


def python(program, **environment):
    """Runs a program that ends by `command_line.run`."""
    command = [sys.executable, "-c", OPENING + program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment, timeout=60)


@pytest.mark.parametrize(
    "main, code, line",
    [
        ("print('working')", 0, ""),
        ("fail(UserError('a.yaml: expected this. Received: that'))", 2, "error: a.yaml: expected this. Received: that"),
        ("fail(UserError('a file name\\nof two lines'))", 2, "error: a file name of two lines"),
        ("fail(RunError('the loss became nan'))", 1, "error: the loss became nan"),
        ("fail(OSError(28, 'No space left on device', 'a.npz'))", 1, "error: a.npz: No space left on device"),
        ("fail(OSError(5, 'Input/output error'))", 1, "error: Input/output error"),
        ("fail(ValueError('wrong\\nand more of it'))", 1, f"error: ValueError: wrong {SHOWS_WHERE}"),
        ("fail(ValueError('{{node a}} wrong'))", 1, f"error: ValueError: wrong {SHOWS_WHERE}"),
        ("fail(MemoryError())", 1, f"error: MemoryError: {SHOWS_WHERE}"),
        ("fail(KeyboardInterrupt())", 130, "stopped; the same command carries on"),
        ("stop(signal.SIGINT)", 130, "stopped; the same command carries on"),
        ("stop(signal.SIGTERM)", 143, "stopped; the same command carries on"),
        ("sys.exit(2)", 2, ""),  # as argparse does
    ],
)
def test_every_end_has_its_exit_code_and_one_line(main, code, line):
    done = python(f"command_line.run(lambda: {main})")
    assert done.returncode == code
    assert done.stderr == (f"{line}\n" if line else "")
    assert done.stdout in ("", "working\n")  # nothing is lost, though stdout is no terminal


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("a\x1b]0;title\x07.png", r"a\x1b]0;title\x07.png"),
        ("gro\udcdf.jpg", r"gro\udcdf.jpg"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("\x9b2J", r"\x9b2J"),
        ("Größe 東京\t", "Größe 東京\t"),
    ],
)
def test_what_a_terminal_would_obey_is_seen_and_not_obeyed(name, seen):
    code = f"print({name!r}); print({name!r}, file=sys.stderr); fail(UserError('x' + {name!r}))"
    done = python(f"command_line.run(lambda: exec({code!r}))", PYTHONIOENCODING="utf-8:strict")
    assert done.stdout == f"{seen}\n"
    assert done.stderr == f"{seen}\nerror: x{seen.strip()}\n"


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_leaves_what_was_there_and_at_most_a_partial_file(tmp_path, number, code):
    (tmp_path / "a.npz").write_text("whole")
    program = (
        "from mam_keras.files import replacing\n"
        "def main():\n"
        f"    with replacing({str(tmp_path / 'a.npz')!r}) as beside:\n"
        "        beside.write_text('half')\n"
        f"        stop(signal.{number})\n"
        "command_line.run(main)\n"
    )
    assert python(program).returncode == code
    assert (tmp_path / "a.npz").read_text() == "whole"
    remove_partial(tmp_path)  # as the next start does
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_a_thread_that_still_works_does_not_hold_up_a_stop():
    program = (
        "import threading, time\n"
        "def main():\n"
        "    threading.Thread(target=time.sleep, args=(50,)).start()\n"
        "    stop(signal.SIGTERM)\n"
        "command_line.run(main)\n"
    )
    assert python(program).returncode == 143


def test_the_traceback_is_there_for_who_asks():
    done = python("command_line.run(lambda: fail(ValueError('wrong')))", MAM_KERAS_DEBUG="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith(f"error: ValueError: wrong {SHOWS_WHERE}\n")


WORK = """
from pathlib import Path
def main():
    for _ in range(100):
        print("x" * 10000, flush=True)
    with Path({file!r}).open("w") as file:
        print("printed")
        os.system("echo by another program; echo by another program >&2")
        file.write("worked")
command_line.run(main)
"""


@pytest.mark.parametrize(
    "streams",
    [
        "| head -c 1 >/dev/null",
        "2>&1 | head -c 1 >/dev/null",
        ">/dev/full",
        ">/dev/full 2>&1",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
    ],
)
def test_work_goes_on_whoever_reads_what_is_printed(tmp_path, streams):
    """A reader that has left, a full disk, streams that are not there: nor does print write into other files."""
    program, said = tmp_path / "program.py", tmp_path / "said"
    program.write_text(OPENING + WORK.format(file=str(tmp_path / "file")))
    command = f"set -o pipefail; {{ {sys.executable} {program} {streams}; }} 2>{said}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], env=environment, check=False, timeout=60)
    assert (done.returncode, (tmp_path / "file").read_text()) == (0, "worked")
    assert "Error" not in said.read_text()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_an_encoding_lacks_is_printed_as_something_else(encoding):
    program = "command_line.run(lambda: [print('─ü\u20ac') for sys.stdout in (sys.stdout, sys.stderr)])"
    command = [sys.executable, "-c", OPENING + program]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, env=environment, timeout=60)
    assert done.returncode == 0
    assert done.stdout == "─ü\u20ac\n".encode(encoding, "replace")
    assert done.stderr == "─ü\u20ac\n".encode(encoding, "backslashreplace")


def test_streams_of_others_are_left_alone(capsys):
    before = sys.stdout, sys.stderr
    command_line._open_streams()
    assert (sys.stdout, sys.stderr) == before


def test_signals_are_heeded_from_the_start():
    """What a command imports before it runs takes no time."""
    program = "".join(f"import mam_keras.{command}.__main__\n" for command in COMMANDS)
    program += "print([name for name in ('numpy', 'pydantic', 'yaml', 'keras') if name in sys.modules])"
    assert python(program).stdout == "[]\n"


KERAS = """
def main():
    command_line.import_tensorflow()
    import keras
    print(*(getattr(keras.config, name)() for name in ("backend", "image_data_format", "floatx", "epsilon")))
"""


def test_a_users_settings_of_keras_are_left_to_other_programs(tmp_path):
    own = {"backend": "torch", "image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1}
    (tmp_path / "keras.json").write_text(json.dumps(own))
    home = {"KERAS_HOME": str(tmp_path)}
    done = python(f"{KERAS}\ncommand_line.run(main)", KERAS_BACKEND="torch", **home)
    assert (done.stdout, done.stderr) == ("tensorflow channels_last float32 1e-07\n", "")
    (tmp_path / "keras.json").write_text("[]")
    done = python(f"{KERAS}\ncommand_line.run(main)", **home)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {tmp_path}/keras.json: expected settings that Keras can read. Received: ")


def test_keras_on_another_backend_is_refused_in_one_line():
    done = python(f"import keras\n{KERAS}\ncommand_line.run(main)", KERAS_BACKEND="jax")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: KERAS_BACKEND: expected tensorflow, before Keras is imported. Received: Keras, imported on jax"
    )


def test_a_users_settings_of_matplotlib_are_left_to_other_programs(tmp_path):
    """Nor does it matter that they cannot be read: in the working directory, in the folder of settings."""
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True  # f\xfcr mich\n")
    program = (
        "def main():\n"
        "    command_line.import_matplotlib()\n"
        "    import matplotlib\n"
        "    print(matplotlib.get_backend(), matplotlib.rcParams['text.usetex'])\n"
        "command_line.run(main)\n"
    )
    ambient = {"MPLBACKEND": "no such", "MPLCONFIGDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OPENING + program]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | ambient, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("agg False\n", "")


def test_names_of_an_option_are_those_between_commas():
    assert command_line.names("--targets", None) is None
    assert command_line.names("--targets", 'a, b ,"c, d",a') == ["a", "b", "c, d"]
    for text in ("", " ", ",", "a,,b", "a,", '"a'):
        with pytest.raises(UserError, match=r"^--targets: expected names, separated by commas\. Received: "):
            command_line.names("--targets", text)


def test_fit_without_arguments_says_how_it_is_used():
    done = subprocess.run([sys.executable, "-m", "mam_keras.fit"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: mam-keras fit ")
    assert done.stderr.splitlines()[-1].endswith("error: the following arguments are required: CONFIG.yaml")
    assert done.stdout == ""


PAGES = """
import resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def many_megabytes():
    b"1" * 128_000_000
def main():
    many_megabytes()
    before = faults()
    for _ in range(10):
        many_megabytes()
    print(faults() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_freed_memory_is_not_handed_back_and_asked_for_again():
    """128 MB are 31,250 pages of 4 kB."""
    assert int(python(f"{PAGES}\nmain()").stdout) > 10_000
    assert int(python(f"{PAGES}\ncommand_line.run(main)").stdout) < 1_000


def test_one_command_for_all(tmp_path):
    def call(*arguments):
        command = [sys.executable, "-m", "mam_keras", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=60)

    for command in COMMANDS:
        done = call(command, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: mam-keras {command} ")
        assert f"Example: mam-keras {command}" in " ".join(done.stdout.split())
    done = call("fit", "missing.yaml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: missing.yaml: ")
    assert call().returncode == call("train").returncode == 2
    assert call("--version").stdout == f"mam-keras {__version__}\n"
    told = call("--help").stdout
    assert [line for line in COMMANDS if f"mam-keras {line}" not in told] == []
