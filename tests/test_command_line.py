"""Exit codes and the one line of every way to end. (Signals in the middle of a training: `fit/test_resume.py`.)"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras.__main__ import COMMANDS
from mam_keras.files import remove_partial

ROOT = Path(__file__).parents[1]

OPENING = """
import os, signal, sys
from mam_keras import command_line
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


def test_a_reader_that_leaves_is_no_traceback():
    program = "command_line.run(lambda: [print('x' * 10000, flush=True) for _ in range(100)])"
    command = [sys.executable, "-c", OPENING + program]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with writer:
        writer.stdout.close()
        assert "Traceback" not in (lines := writer.stderr.read())
    assert lines.splitlines()[0] == "error: Broken pipe"
    assert writer.returncode == 1


def test_fit_without_arguments_says_how_it_is_used():
    done = subprocess.run([sys.executable, "-m", "mam_keras.fit"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m mam_keras.fit")
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
        assert done.stdout.startswith(f"usage: python -m mam_keras.{command} ")
    done = call("fit", "missing.yaml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: missing.yaml: ")
    assert call().returncode == call("train").returncode == 2
