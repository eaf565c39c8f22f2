"""Trains the runs that a study lacks, each by a process of its own. Compares nothing."""

import time

from mam_keras import child, records
from mam_keras import config as configuration
from mam_keras.errors import RunError, UserError
from mam_keras.files import digest, expecting, full_disk
from mam_keras.run_directory import carried_over
from mam_keras.settings import difference
from mam_keras.study.plan import in_words


def to_settle(study, directory) -> dict:
    """{`RunDirectory`: its `config.Config`}, what makes the runs that are there those of a `plan.Study`.

    What a run was trained with stands. What comes after training, its `analysis`, and where its data are become the
    study's.

    Raises `UserError` where the study has changed a setting that a finished run was trained with, or a run of the study
    that it started from.
    """
    found = {}
    for name in study.configs:
        config, run = directory.config(study, name), directory.run(name)
        if not run.config.exists():
            continue
        there = configuration.load(run.config)
        if name in study.starts:  # whose model is compared, not its place
            start = {"start_from": config.training.start_from}
            there = there.model_copy(update={"training": there.training.model_copy(update=start)})
        if run.finished:
            records.require_whole(run, there)
            if not _started_here(study, directory, name):
                raise UserError(
                    f"{run.path}: expected a run that started from {study.starts[name]} of this study. Received: one "
                    f"that started from another model; remove {run.path} to train it again"
                )
        trained = carried_over(there, config)
        if trained == config:
            found[run] = config
        elif run.finished:
            key, there, here = difference(trained, config)
            raise UserError(
                f"{run.config}: expected the settings of the study's run {name}. Received: {key} is {there!r} there "
                f"and {here!r} in the study; give the changed run another name, or remove {run.path}"
            )
    return found


def train_missing(study, directory) -> dict[str, str]:
    """Trains, or carries on, every run of a settled study that is not finished; returns {run: why} of the failed ones.

    A run that fails keeps none of the others from being trained but those that start from it; the next command tries
    them again.

    Raises `UserError` where `fit` finds that a run's input is at fault, and `RunError` where the disk is full.
    """
    names, failed, seconds = list(study.configs), {}, []
    to_train = [name for name in names if not directory.run(name).finished]
    for number, name in enumerate(names, 1):
        title, run = f"run {number}/{len(names)}: {name}", directory.run(name)
        if name not in to_train:
            print(f"{title}: {_validation(run)}; finished before", flush=True)
            continue
        if (start := study.starts.get(name)) in failed:
            failed[name] = f"{start}, which it starts from, failed: {failed[start]}"
            print(f"{title}: {failed[name]}", flush=True)
            continue
        left = f", about {_minutes(seconds, to_train[to_train.index(name) :])} min left" if seconds else ""
        print(f"{title}: changes {in_words(study.changes[name])}{left}; {child.log(run)}", flush=True)
        start = time.monotonic()
        try:
            _train(directory.config(study, name), run, _started_here(study, directory, name))
        except RunError as why:
            if full_disk(why):
                raise
            failed[name] = str(why)
            print(f"{title} failed, and the next command tries it again: {why}", flush=True)
            continue
        seconds.append(time.monotonic() - start)
        print(f"{title}: {_validation(run)}; {seconds[-1]:.0f} s", flush=True)
    return failed


def _started_here(study, directory, name):
    """Whether a run started from the study's run as it is now, as far as it has started from any."""
    started = (records.environment(directory.run(name)) or {}).get("started_from")
    if started is None or name not in study.starts:
        return True
    return started["model"] == digest(directory.run(study.starts[name]).model)


def _train(config, run, started_here):
    child.await_other(run)
    other = run.config.exists() and not run.finished
    other = other and (not started_here or configuration.load(run.config) != config)
    if other:
        print("  begun with other settings and never finished: it begins anew", flush=True)
    child.train(config, run, overwrite=other)


def _validation(run):
    with expecting(run.evaluation, "the evaluation of a run with validation images"):
        heads = records.evaluation(run)["splits"]["validation"]["heads"]
        means = next(iter(heads.values()))["mean"]
        accuracy = "top1" if "top1" in means else "accuracy"
        return ", ".join(
            f"{words} {100 * means[metric]:.1f} %" if means[metric] is not None else f"{words} undefined"
            for words, metric in (("validation accuracy", accuracy), ("balanced", "balanced_accuracy"))
        )


def _minutes(seconds, left):
    return round(len(left) * sum(seconds) / len(seconds) / 60)
