"""What a directed run and its control are trained with: the settings of the run before, and what is changed of them.

Trains nothing and imports no TensorFlow, so that mistakes are told at once.
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mam_keras import config as configuration
from mam_keras import directed, settings
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.config import Config
from mam_keras.data import composed, nearest, places, some
from mam_keras.errors import UserError
from mam_keras.run_directory import RunDirectory

WEIGHTS = [1.0, 5.0]  # (w_a, w_g) of a directed attribute, those of the paper's first problem (1905.00593)
BY = "energy"  # of `loss.localisation_by`: of those that cost no accuracy, what moves maps most (configs/README.md)
RATE = 0.25  # of the learning rate before; it decays to 0 again
SECTIONS = ("seed", "data", "loss", "training", "distribute", "evaluation", "analysis")  # which may be changed


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and what the directed run will say of itself.

    Attributes:
        told: `directed.Directed`.
        regions: the text of the regions file.
        config, control: `config.Config` of the two runs.
    """

    told: directed.Directed
    regions: str
    config: Config
    control: Config

    @property
    def runs(self) -> dict[str, tuple[RunDirectory, Config]]:
        """{name: the run's directory and configuration}, in the order in which they are trained."""
        return {
            "directed": (RunDirectory(self.told.path), self.config),
            "control": (RunDirectory(self.told.control), self.control),
        }


def opened(path: str | Path) -> TrainedRun:
    """The finished run to start from. Raises `UserError` where there is none."""
    run = TrainedRun(path)
    if not (run.directory.finished and run.finished):
        raise UserError(f"{path}: expected a finished run with its model. Received: one that is not finished")
    return run


def make(run, path, regions, attributes=None, changes=None) -> Plan:
    """The plan of directing a run.

    Args:
        run: `opened`.
        path: the directory of the directed run.
        regions: the regions file.
        attributes: names of those to direct; all that the file has a region of, and the run answers, when None.
        changes: {section.key: value} beside the defaults.

    Raises `UserError` for a file that says nothing of the attributes, and for settings that cannot work.
    """
    names = chosen(run, regions, attributes)
    path = Path(path)
    changed = defaults(run, names) | (changes or {})
    before = run.directory.path.resolve()
    fixed = {"training.start_from": str(before), "loss.regions": str((path / directed.REGIONS).resolve())}
    config = _resolved(run, f"{run.config.name}-directed", changed | fixed)
    if not config.loss.localisation:
        raise UserError("--set loss.localisation: expected more than 0, or nothing is directed. Received: 0")
    control = _resolved(run, f"{run.config.name}-control", changed | fixed | _undirected(run, config))
    told = directed.Directed(path, before, run.digests["model"], path / directed.CONTROL, tuple(names), changed)
    return Plan(told, _text(regions), config, control)


def defaults(run, names) -> dict[str, Any]:
    """{section.key: value}, what is changed of a run's settings where nobody says otherwise.

    One epoch of a lower learning rate and no second beginning: neither a long warm-up nor biases at the rates; nothing
    frozen, no mixtures, in which an attribute is at two places. L = L_before + sum over the directed attributes of
    w_g times the map's term, so that the paper's weights hold for each of them.
    """
    found = {
        "training.epochs": 1,
        "training.learning_rate": float(f"{RATE * run.config.training.learning_rate:.3g}"),
        "training.warmup_epochs": min(0.1, run.config.training.warmup_epochs),
        "training.start_at_rates": False,
        "training.early_stopping": None,
        "data.mixup": 0.0,
        "loss.localisation": 1.0,
        "loss.localisation_by": BY,
        "loss.directed": dict.fromkeys(names, WEIGHTS),
    }
    if getattr(getattr(run.config.model, "backbone", None), "freeze_epochs", 0):
        found["model.backbone.freeze_epochs"] = 0
    return found


def chosen(run, regions, attributes=None) -> list[str]:
    """The attributes to direct, in the run's order. Raises `UserError` for one without a region, or none at all."""
    known, names = list(run.attributes), None if attributes is None else [composed(name) for name in attributes]
    for name in names or ():
        if name not in known:
            raise UserError(
                f"--attributes: expected attributes of {run.directory.path}; did you mean {nearest(name, known)!r}? "
                f"Received: {name!r}"
            )
    found = _placed(places.read(regions, run.config.data), run.training.ids.tolist())
    placed = [name for name in known if name in found]
    for name in names or ():
        if name not in placed:
            raise UserError(f"{regions}: expected a region of {name} in training images. Received: none")
    if not placed:
        received = f"of {some(sorted(found))} alone" if found else "none"
        raise UserError(
            f"{regions}: expected a region in training images of at least one of {some(known)}. Received: {received}"
        )
    return placed if names is None else [name for name in known if name in names]


def left_out(run, regions) -> dict[str, list[str]]:
    """{"attribute", "training image": names that a file of regions has and the run has not}: perhaps misspelt."""
    where = places.read(regions, run.config.data)
    attributes = {*where.attributes, *(name for marked in where.images.values() for name in marked), *_folders(where)}
    images = set(where.images).difference(run.training.ids.tolist())
    return {"attribute": sorted(attributes.difference(run.attributes)), "training image": sorted(images)}


def assignments(overrides) -> dict[str, Any]:
    """{section.key: value} of `--set`. Raises `UserError` for what the network's own shape follows from."""
    found = dict(map(settings.assignment, overrides))
    for key, value in found.items():
        if key.split(".")[0] not in SECTIONS or key in ("training.start_from", "loss.regions"):
            raise UserError(
                f"--set {key}: expected a setting of {', '.join(SECTIONS)}, other than training.start_from and "
                f"loss.regions, which RUN_DIR and --regions are. Received: {value!r}"
            )
    return found


def command(told) -> list[str]:
    """What directs the same run again, without the page: arguments of `python -m mam_keras.direct`."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(told.attributes)
    words = [str(told.before), f"--regions={told.regions}", f"--attributes={line.getvalue()}", f"--run={told.path}"]
    return words + [f"--set={key}={json.dumps(value, ensure_ascii=False)}" for key, value in told.settings.items()]


def _placed(where, ids):
    """Names of the attributes that a file of places has regions of in some of the images."""
    found = {
        name
        for name, place in where.attributes.items()
        if place.boxes or place.rectangles or place.polygons or place.presets
    }
    found = found.union(*(where.images.get(identifier, ()) for identifier in ids))
    return found | {name for name in _folders(where) if any(places.mask_files(Path(where.masks), name, ids))}


def _folders(where):
    """Names of the attributes that a file of places names masks of."""
    return [composed(one.name) for one in Path(where.masks).iterdir() if one.is_dir()] if where.masks else []


def _text(path):
    """The regions file as it is kept elsewhere: masks are beside the file that names them."""
    values = settings.read(path)
    if "masks" in values:
        values["masks"] = str((Path(path).parent / values["masks"]).resolve())
    return settings.to_yaml(values)


def _undirected(run, config):
    """The same fine-tuning without the maps' term: the weights of the cross-entropies stay.

    So do the regions where images show them alone (`data.region_only`); else the control is that of any regions.
    """
    alone, directed = config.data.region_only, config.loss.directed or {}
    weights = {name: [answer, 0.0] for name, (answer, _) in directed.items() if answer != 1 or alone}
    before = run.config.loss.model_dump(mode="json", by_alias=True)
    found = {f"loss.{key}": value for key, value in before.items() if key.startswith("localisation")}
    found |= {"loss.localisation": 0.0, "loss.directed": weights or None}
    return found if alone else found | {"loss.regions": None}


def _resolved(run, name, changes):
    values = run.config.model_dump(mode="json", by_alias=True)
    for key, value in changes.items():
        settings.put(values, key, value, f"--set {key}")
    values.pop("tune", None)
    return configuration.check(values | {"name": name}, f"{run.directory.config}, directed")
