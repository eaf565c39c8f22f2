"""What stands at the top of the page: what was trained, when, on what, and with what."""

import datetime

from mam_keras.report.wording import count

SOURCES = {
    "celeba": "CelebA (Liu et al. 2015)",
    "tfds": "TensorFlow Datasets",
    "table": "the user's own table of images",
    "synthetic_faces": "faces drawn by the program",
}


def facts(run, others) -> list[tuple[str, str]]:
    """Pairs of (what, text) about a `ReportedRun`."""
    named = [("Data", _data(run)), ("Network", _network(run.config)), ("Training", _training(run))]
    if run.environment is not None:
        named += [("When", _when(run.environment)), ("Devices", _devices(run.environment))]
        named.append(("Versions", _versions(run.environment)))
    named.append(("Seed", str(run.config.seed)))
    named.append(("Analysed", _analysed(run)))
    if others:
        named.append(("Compared with", ", ".join(other.name for other in others)))
    return named


def state(run) -> str:
    """Why a page may lack what others have; "" for a finished run."""
    if run.evaluation is None:
        return f"This run is not finished: {_epochs(run)}. Whatever needs the trained model is missing below."
    return ""


def attributes(run) -> tuple[str, ...] | None:
    """The names of the run's attributes, from whatever knows them; None before anything does."""
    for result in run.results.values():
        if "attributes" in result.values:
            return tuple(result.values["attributes"])
    for split in (run.evaluation or {"splits": {}})["splits"].values():
        for head in split["heads"].values():
            return tuple(head["per_attribute"])
    return run.config.data.attributes


def _data(run):
    data, names = run.config.data, attributes(run)
    text = SOURCES[data.source] + (f", {data.builder}" if data.source == "tfds" else "")
    if names is not None:
        text += f", {count(len(names), 'attribute')}"
    splits = (run.evaluation or {"splits": {}})["splits"]
    text += "".join(f", {count(split['images'], f'{name} image')}" for name, split in splits.items())
    text += f"; prepared to {data.image_size} x {data.image_size} pixels"
    return text + ("; trained on validation, too" if data.train_on_validation else "")


def _network(config):
    model, loss = config.model, config.loss
    side = model.feature_size(config.data.image_size)
    text = f"features {side} x {side} x {model.channels}, normalisation {model.normalization}"
    if model.attribute_heads:
        text += f", masks {model.masks.replace('_', ' ')}"
    weights = {"alpha": loss.alpha, "beta": loss.beta, "gamma": loss.gamma, "lambda": loss.lambda_}
    return f"{text}; loss weights {', '.join(f'{name} {value:g}' for name, value in weights.items())}"


def _training(run):
    training = run.config.training
    return (
        f"{_epochs(run)}, batches of {training.batch_size}, {training.optimizer} with learning rate "
        f"{training.learning_rate:g}, {training.precision}"
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


def _analysed(run):
    analysis = run.config.analysis
    return (
        f"the {analysis.split} split; {count(len(analysis.pairs), 'pair')} (a, b) beside the identity; "
        f"{count(analysis.resamples, 'bootstrap resample')}"
    )
