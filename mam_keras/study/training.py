"""Trains the runs that a study lacks, each by a process of its own as the command line would. Compares nothing."""

import json
import signal
import subprocess
import sys
import time

from mam_keras import command_line
from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.run_directory import difference, locked, write_text
from mam_keras.study.plan import in_words

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PLACES = ("directory", "cache", "cache_directory")  # of the data: what changes nothing that is trained


def settle(study, directory):
    """Makes the runs that are there those of a `plan.Study`, before anything is trained.

    What a run was trained with stands. What comes after training, its `analysis`, and where its data are become the
    study's.

    Raises `UserError` where the study has changed a setting that a finished run was trained with.
    """
    for name, config in study.configs.items():
        run = directory.run(name)
        if not run.config.exists():
            continue
        trained = _trained(configuration.load(run.config), config)
        if trained == config:
            write_text(run.config, config.to_yaml())
        elif run.finished:
            key, there, here = difference(trained, config)
            raise UserError(
                f"{run.config}: expected the settings of the study's run {name}. Received: {key} is {there!r} there "
                f"and {here!r} in the study; give the changed run another name, or remove {run.path}"
            )


def train_missing(study, directory) -> dict[str, str]:
    """Trains, or carries on, every run of a settled study that is not finished; returns {run: why} of the failed ones.

    Ctrl-C and SIGTERM end the run's process, which keeps its last epoch, and then this one. A run that fails does not
    keep the others from being trained; the next command tries it again.

    Raises `UserError` where `fit` finds that a run's input is at fault.
    """
    names, failed, seconds = list(study.configs), {}, []
    to_train = [name for name in names if not directory.run(name).finished]
    for number, name in enumerate(names, 1):
        title = f"run {number}/{len(names)}: {name}"
        if name not in to_train:
            print(f"{title}: {_validation(directory.run(name))}; finished before", flush=True)
            continue
        left = f", about {_minutes(seconds, to_train[to_train.index(name) :])} min left" if seconds else ""
        print(f"{title}: changes {in_words(study.file.runs[name])}{left}; {directory.fit_log(name)}", flush=True)
        start = time.monotonic()
        if why := _train(study.configs[name], directory, name):
            failed[name] = why
            print(f"{title} failed: {why}", flush=True)
            continue
        seconds.append(time.monotonic() - start)
        print(f"{title}: {_validation(directory.run(name))}; {seconds[-1]:.0f} s", flush=True)
    return failed


def _train(config, directory, name):
    """None once the run is finished, or why it failed."""
    run = directory.run(name)
    if run.path.exists():
        _await(run)
    if run.finished:
        return None
    write_text(directory.fit_config(name), config.to_yaml())
    command = [sys.executable, "-m", "mam_keras.fit", directory.fit_config(name), "--run", run.path]
    if run.config.exists() and configuration.load(run.config) != config:
        print("  begun with other settings and never finished: it begins anew", flush=True)
        command.append("--overwrite")
    with directory.fit_log(name).open("ab") as log:
        before = log.tell()
        code = _run(command, log)
    if code == 0:
        return None
    why = _error(directory.fit_log(name), before) or f"fit ended with {code}, see {directory.fit_log(name)}"
    if code == 2:
        raise UserError(f"run {name}: {why}")
    return why


def _await(run):
    """Until the process has ended that trained on when a study was killed with -9."""
    try:
        with locked(run.path, wait=False):
            return
    except BlockingIOError:
        print("  another process is training it; waiting", flush=True)
    with locked(run.path, wait=True):
        pass


def _run(command, log):
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
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
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


def _error(log, before):
    """The last error that was printed from byte `before` on; None without any."""
    with log.open("rb") as file:
        file.seek(before)
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), None)


def _trained(there, here):
    """The configuration `there` with whatever of `here` changes nothing that is trained."""
    update = {"analysis": here.analysis}
    if there.data.source == here.data.source:
        places = {place: getattr(here.data, place) for place in PLACES if hasattr(here.data, place)}
        update["data"] = there.data.model_copy(update=places)
    return there.model_copy(update=update)


def _validation(run):
    heads = json.loads(run.evaluation.read_text(encoding="utf-8"))["splits"]["validation"]["heads"]
    means = next(iter(heads.values()))["mean"]
    return ", ".join(
        f"{words} {100 * means[metric]:.1f} %"
        for words, metric in (("validation accuracy", "accuracy"), ("balanced", "balanced_accuracy"))
    )


def _minutes(seconds, left):
    return round(len(left) * sum(seconds) / len(seconds) / 60)
