"""Keras Tuner's oracles, which say what to try next, with a state that survives a kill. Knows nothing of training."""

import sys
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle

from mam_keras.files import expecting, read_json, write_record
from mam_keras.tune.space import FACTOR, most_epochs

TRIALS = 10  # where the configuration does not say how many
_STATE = "the state of this search (without this file it starts again, and takes up the trials that it finds)"


class _Kept:
    """Keeps the whole state in one file, which is replaced at once.

    Keras Tuner's own `save` and `reload` overwrite a file for each trial and another for the oracle, in place: a kill
    leaves them half written, or disagreeing.
    """

    def save(self):
        trials = [trial.get_state() for trial in self.trials.values()]
        write_record(self.state_file, {"oracle": self.get_state(), "trials": trials})

    def reload(self):
        """Takes up the kept state; trials that were running come first.

        Raises `UserError` for a damaged file, and for that of another search.
        """
        kept = read_json(self.state_file, _STATE, dict[str, Any])
        with expecting(self.state_file, _STATE):
            state, trials = kept["oracle"], [Trial.from_state(trial) for trial in kept["trials"]]
            if state["hyperparameters"]["space"] != self.get_state()["hyperparameters"]["space"]:
                raise ValueError("that of another space")
            self.trials = {trial.trial_id: trial for trial in trials}
            ongoing = {self.trials[name] for name in state["ongoing_trials"].values()}
            running = [trial.trial_id for trial in ongoing if trial.status == TrialStatus.RUNNING]
            self.set_state(state | {"ongoing_trials": {}, "retry_queue": [*state["retry_queue"], *running]})


class _Random(_Kept, RandomSearchOracle):
    pass


class _Bayesian(_Kept, BayesianOptimizationOracle):
    pass


class _Hyperband(_Kept, HyperbandOracle):
    pass


def make_oracle(config, dimensions, state_file):
    """The oracle of `config.tune` over the `space.Dimension`s; it maximises the objective and keeps `state_file`."""
    tune, space = config.tune, keras_tuner.HyperParameters()
    for dimension in dimensions:
        number = space.Int if isinstance(dimension.low, int) else space.Float
        number(dimension.key, dimension.low, dimension.high, sampling=dimension.scale)
    arguments = {
        "objective": keras_tuner.Objective(tune.objective, "max"),
        "hyperparameters": space,
        "seed": config.seed + 1,  # Keras Tuner takes 0 for none
        "max_consecutive_failed_trials": sys.maxsize,  # failed ones are counted, whatever came before
    }
    if tune.oracle == "hyperband":
        oracle = _Hyperband(max_epochs=most_epochs(config), factor=FACTOR, **arguments)
        oracle.max_trials = tune.trials
    else:
        kinds = {"random": _Random, "bayesian": _Bayesian}
        oracle = kinds[tune.oracle](max_trials=tune.trials or TRIALS, **arguments)
    oracle.state_file = state_file
    oracle.verbose = 0  # what is going on is said by the search
    return oracle
