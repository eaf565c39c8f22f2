"""What a study compares: runs of one base configuration, each with a few changes. Imports no TensorFlow."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mam_keras import config as configuration
from mam_keras import settings
from mam_keras.analysis import directing
from mam_keras.config import Config
from mam_keras.errors import UserError
from mam_keras.settings import Name, Section, Share, Text
from mam_keras.study.study_directory import OWN_FILES

Changes = dict[Text, Any]  # {section.key: value}, and of a run FROM
FROM = "from"  # key of a run's changes that is no setting: the run of the study whose weights it starts from
Seed = Annotated[int, Field(ge=0, lt=2**31)]
MEASURED_ALIKE = ("analysis", "evaluation")  # sections that no run changes for itself
TESTED = (  # analyses of the test images
    "accuracy",
    "calibration",
    "masks",
    "noise",
    "localisation",
    "faithfulness",
    "deletion",
    "robustness",
    "cost",
)
OF_PAIRS = tuple(name for name in directing.ANALYSES if name not in TESTED)  # where the study names pairs, besides


class StudyFile(Section):
    """The file of a study."""

    name: Name
    base: Text  # a configuration of `fit`; relative to this file
    set_: Changes = Field({}, alias="set")  # of every run, on top of the base
    baseline: Name  # the run that the others are compared with
    choose_by: Literal["localisation", "accuracy"] = "localisation"  # on validation
    analyses: tuple[Literal[*TESTED, *OF_PAIRS], ...] | None = None  # of every run; all that can be when left out
    most_accuracy_lost: Share = 0.01  # of validation accuracy, against the baseline, by the run that is chosen
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None  # every run once with each of them
    runs: Annotated[dict[Name, Changes], Field(min_length=1)]  # each only what it changes, and which it starts `from`

    @model_validator(mode="after")
    def _possible(self):
        if self.baseline not in self.runs:
            raise ValueError(f"baseline: expected one of the runs, {', '.join(self.runs)}. Received: {self.baseline!r}")
        if self.analyses is not None and not {"accuracy", self.choose_by} <= set(self.analyses):
            needed = " and ".join(dict.fromkeys(("accuracy", self.choose_by)))
            raise ValueError(
                f"analyses: expected {needed} among them, by which runs are chosen. Received: {list(self.analyses)}"
            )
        if len(set(self.seeds or ())) < len(self.seeds or ()):
            raise ValueError(f"seeds: expected each of them once. Received: {list(self.seeds)}")
        above = []
        for name, changes in self.runs.items():
            if FROM in changes and changes[FROM] not in above:
                raise ValueError(
                    f"runs.{name}.from: expected a run that stands above it ({', '.join(above) or 'there is none'}). "
                    f"Received: {changes[FROM]!r}"
                )
            above.append(name)
            if self.seeds and "seed" in changes:
                raise ValueError(
                    f"runs.{name}: expected no seed of its own where the study has `seeds`. Received: {changes['seed']}"
                )
            if name in OWN_FILES:
                raise ValueError(
                    f"runs: expected names other than the study's own {', '.join(OWN_FILES)}. Received: {name!r}"
                )
        return self


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        file: as it was read, with what the command line sets for every run in `set`.
        configs: {run: its `config.Config`}, which has the run's name.
        changes: {run: {section.key: value}}, its seed among them where the study gives it, and which run it is `from`.
        starts: {run: the run of the study that it starts from}; `training.start_from` of its configuration is that
            run's name until its directory is known (`StudyDirectory.config`).
        groups: {group: its runs}; those of one group differ by their seed alone.
    """

    file: StudyFile
    configs: dict[str, Config]
    changes: dict[str, Changes]
    starts: dict[str, str]
    groups: dict[str, list[str]]

    @property
    def name(self):
        return self.file.name

    @property
    def baseline(self):
        """The group that the others are compared with."""
        if self.file.baseline in self.groups:
            return self.file.baseline
        return self.group(self.file.baseline)

    @property
    def pairs(self):
        """Of attributes that the study is about, one directed and one that it came with; none where it names none."""
        return next(iter(self.configs.values())).analysis.pairs_of_attributes or ()

    @property
    def asked(self):
        """The analyses of every run, in the order in which they are computed."""
        every = [*TESTED, *(OF_PAIRS if self.pairs else ())]
        return every if self.file.analyses is None else [name for name in every if name in self.file.analyses]

    def group(self, run):
        """The group of a run."""
        return next(group for group, runs in self.groups.items() if run in runs)

    def opposite(self, run, among):
        """The baseline's run with the same seed, or the first one; of the runs `among`."""
        runs = [one for one in self.groups[self.baseline] if one in among]
        return next((one for one in runs if self.configs[one].seed == self.configs[run].seed), runs[0])

    def to_yaml(self) -> str:
        return settings.to_yaml(self.file.model_dump(mode="json", by_alias=True))


def in_words(changes) -> str:
    """Changes of a run, as "model.channels 32, model.dilations [1, 0, 0]"; "nothing" without any."""
    texts = (f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in changes.items())
    return ", ".join(texts) or "nothing"


def load(path, overrides=()) -> Study:
    """Reads a study's file, resolves every run's configuration and checks all of them.

    A run's settings are the base's, then those of `set`, then the run's own, then `overrides` (`section.key=value`).

    Raises `UserError` for a file that cannot be read, for whatever `config.check` refuses, for a baseline that is no
    run, for two runs of the same settings, for settings of `MEASURED_ALIKE` in a single run, for analyses of pairs
    where none is named, and for a study in which nothing can be chosen on validation images.
    """
    path = Path(path)
    values = settings.check(settings.read(path), str(path), StudyFile)
    overrides = dict(map(settings.assignment, overrides))
    _refuse_unfit(values.set_, f"{path}: set")
    _refuse_unfit(overrides, "--set")
    configs, every, starts, groups = {}, {}, {}, {}
    for group, own in values.runs.items():
        where = f"{path}: runs.{group}"
        _refuse_unfit(own, where, MEASURED_ALIKE)
        for name, changes in _seeded(group, own, values.seeds):
            settled = values.set_ | changes | overrides
            if FROM in changes:
                start = _named(settled.pop(FROM), changes["seed"] if values.seeds else None)
                starts[name] = settled["training.start_from"] = start
            config = _resolved(path.parent / values.base, name, settled, where)
            _refuse_unchosen(config, where)
            for other, same in configs.items():
                if config == same.model_copy(update={"name": name}):
                    raise UserError(f"{where}: expected settings that no other run has. Received: those of run {other}")
            alike = (one for one, runs in groups.items() if _but_for_the_seed(configs[runs[0]], config, groups))
            groups.setdefault(next(alike, group), []).append(name)
            configs[name], every[name] = config, changes
    study = Study(values.model_copy(update={"set_": values.set_ | overrides}), configs, every, starts, groups)
    if unasked := set(values.analyses or ()).difference(study.asked):
        raise UserError(
            f"{path}: analyses: expected {', '.join(sorted(unasked))} where pairs are named "
            "(analysis.pairs_of_attributes in `set`) alone, which they are about. Received: no pairs"
        )
    return study


def _seeded(name, changes, seeds):
    """Names and changes of what one entry of the file asks for."""
    if seeds is None:
        return [(name, changes)]
    return [(_named(name, seed), changes | {"seed": seed}) for seed in seeds]


def _named(name, seed):
    return name if seed is None else f"{name}-seed{seed}"


def _but_for_the_seed(one, other, groups):
    """Whether two configurations are the same but for their seeds, and for those of what they start from."""
    group = {run: name for name, runs in groups.items() for run in runs}

    def seedless(config):
        start = config.training.start_from
        training = config.training.model_copy(update={"start_from": group.get(start, start)})
        return config.model_copy(update={"name": "", "seed": 0, "training": training})

    return seedless(one) == seedless(other)


def _resolved(base, name, changes, where):
    values = settings.read(base)
    for key, value in changes.items():
        settings.put(values, key, value, f"{where}: {key}")
    values.pop("tune", None)
    return configuration.check(values | {"name": name}, f"{where}, on {base}")


def _refuse_unfit(changes, where, sections=()):
    for key, value in changes.items():
        section = key.split(".")[0]
        if section in ("name", "tune") or isinstance(value, dict):
            raise UserError(
                f"{where}: expected `section.key: value`, one setting of data, model, loss, training, distribute, "
                f"evaluation or analysis, or seed. Received: {key}: {value}"
            )
        if section in sections:
            raise UserError(
                f"{where}: expected {section} to be the same for all runs, so that they are measured alike (`set`, or "
                f"--set). Received: {key}: {value}"
            )


def _refuse_unchosen(config, where):
    if config.data.train_on_validation:
        raise UserError(
            f"{where}: data.train_on_validation: expected false in a study: nothing can be chosen on images that were "
            "trained on. Received: True"
        )
    if config.distribute.strategy == "multi_worker":
        raise UserError(
            f"{where}: distribute.strategy: expected auto, none or mirrored in a study: each run is trained by one "
            "process. Received: 'multi_worker'"
        )
