"""The search itself: Keras Tuner hands out values, and each set of them becomes a trial of ours."""

import time

import grpc
import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FatalError

from mam_keras.errors import UserError
from mam_keras.tune import cluster
from mam_keras.tune.space import most_epochs
from mam_keras.tune.trial import outcome


class Search(BaseTuner):
    """Runs trials one after the other, alone or as a worker; as the chief, hands them out.

    One of Hyperband's trials that goes on to more epochs starts from the beginning: the learning rate falls over all
    the epochs of a run, so the end of the shorter run is not on its way, and `fit` could not do the same again.

    Args:
        oracle: of `oracles.make_oracle`.
        config: `config.Config`, with its `tune` section.
        dimensions: of `space.dimensions`.
        directory: `search_directory.SearchDirectory`.
    """

    def __init__(self, oracle, config, dimensions, directory):
        super().__init__(oracle, directory=directory.path, project_name=directory.keras_tuner.name)
        self.config, self.dimensions, self.files = config, dimensions, directory
        self.failed = self.asked = False
        if not isinstance(self.oracle, keras_tuner.Oracle):  # a worker's is a connection to the chief's
            self.oracle.stub = Chief(self.oracle.stub, directory.results)

    def pre_create_trial(self):
        if self.asked:  # and given none: Hyperband waits for other workers' trials, Keras Tuner asks again at once
            time.sleep(1)
        self.asked = True

    def run_trial(self, trial):
        """Keras Tuner's: {objective: value}; 0 for a failed trial, which `on_trial_end` then marks as such."""
        self.asked = False
        try:
            value = self._objective_of(trial)
        except Exception as error:  # Keras Tuner would print it and go on to the next trial
            raise FatalError(str(error)) from error
        self.failed = value is None
        return {self.config.tune.objective: 0.0 if self.failed else value}

    def on_trial_end(self, trial):
        if self.failed:
            trial.status = TrialStatus.FAILED
        super().on_trial_end(trial)

    def reload(self):
        """Nothing of what Keras Tuner left in its own files, damaged or not: the oracle's state is kept elsewhere."""

    def save(self):
        if isinstance(self.oracle, keras_tuner.Oracle):
            self.oracle.save()

    def _objective_of(self, trial):
        self.files.require(self.config)
        start, number, objective = time.time(), number_of(trial), self.config.tune.objective
        values, epochs = values_of(trial, self.config, self.dimensions)
        settings = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
        every = self.oracle.max_trials  # None where Hyperband decides
        print(f"\ntrial {number}{f' of {every}' if every else ''}: {settings}, {epochs} epochs", flush=True)
        found = outcome(self.config, values, epochs, self.files.trial(number))
        if "failed" in found:
            print(f"trial {number} failed: {found['failed']}", flush=True)
            return None
        value = found["measures"].get(objective)
        if value is None:
            raise UserError(f"tune.objective: expected one that these runs have. Received: {objective!r}, undefined")
        seconds, alone = time.time() - start, isinstance(self.oracle, keras_tuner.Oracle)
        left = f", about {(every - number) * seconds / 60:.0f} min left" if every and alone else ""
        print(f"trial {number}: {objective} {value:.4f}; {seconds:.0f} s{left}", flush=True)
        return value


class Chief:
    """A worker's calls by Keras Tuner's `stub`: they wait for a chief that is away, not for one that is done.

    Keras Tuner waits an hour for a chief that cannot be reached. It may have ended just now, with the workers that it
    knew: calls then raise `grpc.RpcError`, and the file `results` is there.
    """

    def __init__(self, stub, results):
        self._stub, self._results = stub, results

    def __getattr__(self, name):
        def call(request, wait_for_ready, timeout):
            while True:
                try:
                    return getattr(self._stub, name)(request, timeout=timeout)
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE or not cluster.await_chief(self._results):
                        raise
                    time.sleep(1)

        return call


def number_of(trial) -> int:
    """From 1, in the order in which trials were handed out."""
    return int(trial.trial_id) + 1


def values_of(trial, config, dimensions):
    """A Keras Tuner trial's {key: value} and its epochs."""
    found = trial.hyperparameters.values
    values = {d.key: min(found[d.key], d.high) for d in dimensions}  # whole numbers on a log scale can end one above
    return values, found.get("tuner/epochs", most_epochs(config))
