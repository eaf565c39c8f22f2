"""The directory of a search: which files there are, and who may work in it. Knows nothing of what is in them."""

from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.files import held, marked, read_json, write_mark
from mam_keras.run_directory import carried_over
from mam_keras.settings import difference

_MORE = pydantic.ConfigDict(extra="allow")  # of other versions


class _Range(TypedDict):
    low: int | float
    high: int | float
    scale: Literal["log", "linear"]


class _Trial(TypedDict):
    __pydantic_config__ = _MORE
    number: int
    values: dict[str, int | float]
    epochs: int
    failed: str | None
    measures: dict[str, int | float | None]
    intervals: dict[str, Annotated[list[int | float], Field(min_length=2, max_length=2)]]


class Found(TypedDict):
    """Of tuning.json."""

    __pydantic_config__ = _MORE
    objective: str
    oracle: str
    space: dict[str, _Range]
    best: int
    trials: list[_Trial]


def _complete(found):
    done = [trial for trial in found["trials"] if trial["failed"] is None]
    if found["best"] not in [trial["number"] for trial in done]:
        raise ValueError(f"no trial {found['best']} among those that completed")
    if any(trial["measures"].keys() != done[0]["measures"].keys() for trial in done):
        raise ValueError("other measures of some trials than of others")
    if any(not found["space"].keys() <= trial["values"].keys() for trial in found["trials"]):
        raise ValueError("trials of another space")
    return found


class SearchDirectory:
    """Paths of one search.

    search.yaml     the configuration, resolved, with its `tune` section
    search.json     the state of the search, replaced after every trial
    trial-01, ...   run directories, with outcome.json beside what `fit` leaves
    fit/            what each trial was started with, and what it printed
    keras_tuner/    Keras Tuner's own notes of the trials, which nothing here reads
    tuning.json     what was found; written last
    tuning.csv      a row for each trial
    best.yaml       the winning configuration, for `fit`
    """

    def __init__(self, path):
        self.path = Path(path)
        self.config = self.path / "search.yaml"
        self.state = self.path / "search.json"
        self.keras_tuner = self.path / "keras_tuner"
        self.results = self.path / "tuning.json"
        self.table = self.path / "tuning.csv"
        self.best = self.path / "best.yaml"

    def trial(self, number):
        """The run directory of the trial of this number, from 1."""
        return self.path / f"trial-{number:02d}"

    def found(self) -> Found | None:
        """What a finished search found; None without a tuning.json. Raises `UserError` for a damaged one."""
        return read_json(self.results, "the results of a finished search", Annotated[Found, AfterValidator(_complete)])

    def open(self, config):
        """Holds the directory (`held`) for a search: a new one, one to carry on, or with another number of trials.

        Raises `UserError` for a finished search and for one of another configuration.
        """
        return held(self.path, "search", self._is_search, lambda: self._check(config))

    def begin(self, config):
        """Makes the opened directory that of the search; what was found with fewer or more trials goes."""
        self.results.unlink(missing_ok=True)
        write_mark(self.config, config.to_yaml())

    def _is_search(self):
        """Whether `open` made it one; earlier versions left no mark but the search's state."""
        return marked(self.config) or (self.config.exists() and self.state.exists())

    def require(self, config):
        """Raises `UserError` unless this is a search of `config`; the number of trials and places may differ."""
        present = carried_over(configuration.load(self.config), config, ())
        if _any_trials(present) != _any_trials(config):
            key, there, here = difference(_any_trials(present), _any_trials(config))
            raise UserError(
                f"{self.config}: expected the configuration of this search to go on with. Received: {key} is "
                f"{there!r} there and {here!r} here; choose another --run"
            )

    def _check(self, config):
        if self.config.exists():
            self.require(config)
            self._refuse_finished(config)

    def _refuse_finished(self, config):
        if self.results.exists() and carried_over(configuration.load(self.config), config, ()) == config:
            raise UserError(
                f"{self.path}: expected an unfinished search. Received: a finished one; a larger tune.trials carries "
                "it on, another --run starts a new one"
            )


def best_trial(path) -> Path:
    """The run directory that a finished search in `path` found best; `path` itself where there is no search.

    Raises `UserError` for a search that is not finished or whose tuning.json is damaged.
    """
    search = SearchDirectory(path)
    if not search.config.exists():
        return search.path
    found = search.found()
    if found is None:
        raise UserError(f"{path}: expected a finished search, or one of its trials. Received: it is not finished")
    return search.trial(found["best"])


def _any_trials(config):
    tune = config.tune or configuration.Tune()
    return config.model_copy(update={"tune": tune.model_copy(update={"trials": None})})
