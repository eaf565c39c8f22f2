"""A training as a process of its own: how other commands start `fit`, wait for it, and learn how it ended.

What one training took, memory and graphs, is gone before the next one begins. Compares nothing, chooses nothing.
"""

import argparse
import signal
import subprocess
import sys

from mam_keras import analysis, command_line
from mam_keras import config as configuration
from mam_keras.errors import RunError, UntrainableError, UserError
from mam_keras.files import locked, write_text
from mam_keras.run_directory import RunDirectory

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNTRAINABLE = 3  # exit code between the two halves of this module; 1 is anything else, as of the command line
MEASURED = ("accuracy", "noise", "localisation", "masks")  # on validation: what is chosen by


def train(config, run, overwrite=False, asked=(), kept=None, together=False):
    """Trains `config` in a `RunDirectory`, or carries on; returns once the run is finished.

    What the process starts with and what it prints are kept. A process that still trains the run, of a parent that was
    killed, is waited for. Ctrl-C and SIGTERM end the process, which keeps its last epoch, and then this one.

    Args:
        asked: analyses of the validation images that the process leaves in the run, too.
        kept: KEPT.yaml is what it starts with, KEPT.log what it prints; `fit/RUN` beside the run when None.
        together: whether the workers that TF_CONFIG names train it together, each of them by this call.

    Raises `UserError` where the input is at fault, `UntrainableError` where the settings are, `RunError`
    for anything else.
    """
    if not together:
        await_other(run)
        if run.finished and not asked:
            return
    settings, output = (_kept(run, kept, ending) for ending in ("yaml", "log"))
    write_text(settings, config.to_yaml())
    command = [sys.executable, "-m", "mam_keras.child", settings, run.path]
    command += [*["--overwrite"] * overwrite, *asked]
    if together:
        command = [sys.executable, "-m", "mam_keras.fit", settings, "--run", run.path]
    with output.open("ab") as file:
        before = file.tell()
        code = _run(command, file)
    if code == 0:
        return
    why = _error(output, before) or f"fit ended with {code}, see {output}"
    if code == 2:
        raise UserError(f"run {run.path.name}: {why}")
    if code == -signal.SIGKILL:
        raise UntrainableError(f"fit was killed, as the system does where memory runs out; see {output}")
    raise UntrainableError(why) if code == UNTRAINABLE else RunError(why)


def log(run):
    """Where everything goes that a run's processes print."""
    return _kept(run, None, "log")


def _kept(run, kept, ending):
    kept = kept or run.path.parent / "fit" / run.path.name
    return kept.with_name(f"{kept.name}.{ending}")


def measure(run, asked):
    """{MEASURE: `statistics.Estimate`} of a finished run on the validation images; computed where it is not kept.

    Part masks are left out: they are of other images. Raises `UserError` where there is nothing to measure.
    """
    from mam_keras.analysis.trained_run import TrainedRun

    opened = TrainedRun(run.path, ["analysis.parts=null"])
    results, missing = analysis.compute_missing(opened, names=asked, split="validation")
    if not results:
        raise UserError(
            f"{run.path}: expected a run that can be measured. Received: {next(iter(missing.values()))}; remove the "
            "folder to train it again"
        )
    return analysis.headlines(results)


def await_other(run):
    """Until the process has ended that trained on when its parent was killed with -9."""
    if not run.path.exists():
        return
    try:
        with locked(run.path, wait=False):
            return
    except BlockingIOError:
        print("  another process is training it; waiting", flush=True)
    with locked(run.path, wait=True):
        pass


def _run(command, file):
    """The exit code of a command. A signal that ends this process ends the command first.

    The command is a process group of its own: Ctrl-C reaches it once, through this process.
    """
    received, started = [], []

    def stop(number, _):
        received.append(number)
        for process in started:
            process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        if before[number] != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, process_group=0
        ) as process:
            started.append(process)
            if received:  # before there was anything to end
                process.terminate()
            code = process.wait()
    finally:
        for number in STOPS:
            signal.signal(number, before[number])
    if received or code in (130, 143):
        command_line.stop(128 + received[0] if received else code)
    return code


def _error(file, before):
    """The last error that was printed from byte `before` on; None without any."""
    with file.open("rb") as opened:
        opened.seek(before)
        lines = opened.read().decode(errors="replace").splitlines()
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), None)


def main():
    """The other half: what `train` starts."""
    parser = argparse.ArgumentParser(prog="python -m mam_keras.child")
    parser.add_argument("config")
    parser.add_argument("run", type=RunDirectory)
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("asked", nargs="*")
    arguments = parser.parse_args()
    run, settings = arguments.run, configuration.load(arguments.config)
    command_line.import_tensorflow()
    from tensorflow.errors import ResourceExhaustedError

    try:
        if arguments.overwrite or not run.finished:
            with run.open(settings, arguments.overwrite):
                from mam_keras.fit.run import run as fit

                fit(settings, run)
        if arguments.asked:
            with locked(run.path, wait=True):
                measure(run, arguments.asked)
    except (UntrainableError, ResourceExhaustedError, MemoryError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        print(f"error: {lines[0]}", flush=True)
        sys.exit(UNTRAINABLE)


if __name__ == "__main__":
    command_line.run(main)
