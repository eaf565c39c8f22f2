"""What stands at the top of the page: what was trained, when, on what, and with what."""

import datetime
from pathlib import Path

from mam_keras.report.wording import count, target


def facts(run, others) -> list[tuple[str, str]]:
    """Pairs of (what, text) about a `ReportedRun`."""
    named = [
        ("Data", _data(run)),
        *([("Evaluated on", run.other_data)] if run.other_data else []),
        ("Network", _network(run.config)),
        ("Loss", _loss(run.config.loss)),
        ("Training", _training(run)),
    ]
    if run.environment is not None:
        named += [("When", _when(run.environment)), ("Devices", _devices(run.environment))]
        named.append(("Versions", _versions(run.environment)))
    named.append(("Seed", str(run.config.seed)))
    named.append(("Analysed", _analysed(run)))
    if text := _unknown(run):
        named.append(("Unknown labels", text))
    if others:
        named.append(("Compared with", ", ".join(other.name for other in others)))
    return named


def state(run) -> str:
    """Why a page may lack what others have; "" for a finished run."""
    if run.evaluation is None:
        return f"This run is not finished: {_epochs(run)}. Whatever needs the trained model is missing below."
    return ""


def _data(run):
    data, targets = (run.trained_with or run.config).data, run.targets
    text = data.TITLE + (f", {data.builder}" if data.source == "tfds" else "")
    if targets is not None:
        text += f", {count(len(targets.names), target(targets.exclusive))}"
    splits = (run.evaluation or {"splits": {}})["splits"]
    text += "".join(f", {count(split['images'], f'{name} image')}" for name, split in splits.items())
    text += f"; prepared to {data.image_size} x {data.image_size} pixels"
    text += "; trained on validation, too" if data.train_on_validation else ""
    return text if run.noted else f"{text}; the run does not say which images they were"


def _network(config):
    return config.model.describe(config.data.image_size)


def _loss(loss):
    """Its settings as they are called, without those that are left out or say what would be done to maps."""
    values = loss.model_dump(by_alias=True, exclude_none=True)
    if not values.get("spread"):
        values.pop("spread", None)
    if not loss.localisation:
        values = {key: value for key, value in values.items() if not key.startswith("localisation_")}
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )


def _training(run):
    training = run.config.training
    return (
        f"{_epochs(run)}, batches of {training.batch_size}, {training.optimizer} with learning rate "
        f"{training.learning_rate:g}, {training.precision}"
        + (f"; started from the weights of {Path(training.start_from).name}" if training.start_from else "")
    )


def _epochs(run):
    return f"{len(run.history)} of {count(run.config.training.epochs, 'epoch')}"


def _when(environment):
    start, end = (
        environment.get(key) and datetime.datetime.fromisoformat(environment[key]) for key in ("start", "end")
    )
    if not start:
        return "unknown"
    text = f"started {start:%d %B %Y, %H:%M} UTC"
    if end:
        hours, minutes = divmod(round((end - start).total_seconds() / 60), 60)
        text += f", finished after {f'{hours} h ' if hours else ''}{minutes} min"
    return text


def _devices(environment):
    replicas = environment.get("replicas", 1)
    text = ", ".join(device.rpartition("device:")[2] for device in environment.get("devices", ()))
    return f"{text} ({count(replicas, 'replica')}), {environment.get('platform', 'unknown platform')}"


def _versions(environment):
    versions = [f"{name} {version}" for name, version in environment.get("versions", {}).items()]
    revision = environment.get("git_revision")
    return ", ".join(versions) + (f"; revision {revision}" if revision else "")


def _unknown(run):
    """How many labels are not known, of every split that was evaluated; "" where all are."""
    if run.evaluation is None or run.targets is None:
        return ""
    labels = 1 if run.targets.exclusive else len(run.targets.names)  # of an image
    said = [
        f"{split['unknown']:,} of the {split['images'] * labels:,} {name} labels"
        for name, split in run.evaluation["splits"].items()
        if split.get("unknown")
    ]
    return f"{', '.join(said)} are not known; they are in no figure" if said else ""


def _analysed(run):
    analysis = run.config.analysis
    pairs = f"{count(len(analysis.pairs), 'pair')} (a, b) beside the identity; "
    pairs = pairs if "transformation" in run.results else ""
    return f"the {analysis.split} split; {pairs}{count(analysis.resamples, 'bootstrap resample')}"
