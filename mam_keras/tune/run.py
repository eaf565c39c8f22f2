"""One search from its space to `tuning.json`."""

import warnings

import grpc
from keras_tuner.errors import FatalError

from mam_keras import config as configuration
from mam_keras import data, trained_on
from mam_keras.analysis import regions
from mam_keras.errors import RunError, UserError
from mam_keras.run_directory import RunDirectory, carried_over
from mam_keras.tune import cluster, results
from mam_keras.tune.oracles import make_oracle
from mam_keras.tune.search import Search, number_of, values_of
from mam_keras.tune.trial import outcome

_FINISHED = "The search is finished"


def run(config, dimensions, directory, role):
    """Searches, or carries on, in an opened `SearchDirectory`, and leaves the results in it; a worker leaves trials.

    Args:
        config: `config.Config` with its `tune` section.
        dimensions: of `space.dimensions`.
        role: of `cluster.role`.

    Raises `RunError` where no trial completed, and whatever ends a trial though its values are not to blame.
    """
    if role == "chief":
        cluster.require_address()
    else:
        _require_measures(config)
    oracle = make_oracle(config, dimensions, directory.state)
    if role != "worker":
        if directory.state.exists():
            oracle.reload()
            print(f"Carried on: {len(set(oracle.end_order))} trials are over", flush=True)
            if role != "chief":  # which may not have the data
                trained_on.require_same(_trained(oracle, config, directory))
        directory.begin(config)
        for name in dict.fromkeys(oracle.end_order):  # whose folders may be gone
            number = number_of(oracle.trials[name])
            outcome(config, *values_of(oracle.trials[name], config, dimensions), directory.trial(number))
    if role == "chief":
        print(f"Handing out trials at {cluster.chief()}", flush=True)
    warnings.filterwarnings("ignore", module="sklearn")  # of the Bayesian oracle's fit to few trials
    if role == "worker":  # before it leaves anything in the directory, which the chief may not have opened yet
        print(f"Waiting for the chief at {cluster.chief()}", flush=True)
        if not cluster.await_chief(directory.results):
            print(f"{_FINISHED}: {directory.path}")
            return
    search = Search(oracle, config, dimensions, directory)
    try:
        search.search()
    except FatalError as error:
        raise error.__cause__ from None
    except grpc.RpcError as error:
        if directory.results.exists():  # the chief was about to end when this worker found it
            print(f"{_FINISHED}: {directory.path}")
            return
        raise RunError(f"the chief at {cluster.chief()} does not answer: {error.details()}") from None
    if role == "worker":
        print(f"The chief has no more trials; it leaves the results in {directory.path}")
        return
    trials = results.collect(oracle, config, dimensions, directory)
    if lacking := {number_of(oracle.trials[name]) for name in oracle.end_order} - {trial["number"] for trial in trials}:
        raise RunError(
            f"{directory.path}: expected what the trials that are over have left. Received: nothing of "
            f"{', '.join(map(str, sorted(lacking)))}, which no worker of this search can have ended; the same command "
            "trains them"
        )
    failed = sum(trial["failed"] is not None for trial in trials)
    if failed == len(trials):
        print(f"\n{results.table(trials)}")
        raise RunError(f"none of {len(trials)} trials completed; the first failed: {trials[0]['failed']}")
    completed = (trial for trial in trials if trial["failed"] is None)
    best = max(completed, key=lambda trial: trial["measures"][config.tune.objective])  # not as the chief was told
    results.write(trials, best, config, dimensions, directory)
    print(f"\n{results.table(trials, best)}\n{len(trials)} trials, {failed} of which failed")
    print(f"Written: {directory.results}, {directory.table.name} and {directory.best.name} there")


def _trained(oracle, config, directory):
    """(what it noted, data settings as they are today) of every trial that is over and was trained."""
    for name in dict.fromkeys(oracle.end_order):
        run = RunDirectory(directory.trial(number_of(oracle.trials[name])))
        if run.finished:
            yield run.data, carried_over(configuration.load(run.config), config, ()).data


def _require_measures(config):
    """Raises `UserError` unless the data have what trials are chosen by: validation images, and known regions."""
    if "validation" not in data.load(config.data).splits:
        raise UserError("tune: expected data with a validation split: what is best is chosen on it. Received: none")
    own = config.model_copy(update={"analysis": config.analysis.model_copy(update={"parts": None})})
    known = config.data.is_drawn or regions.settings(own)["places"] is not None
    if config.tune.objective == "localisation" and not known:
        raise UserError(
            "tune.objective: expected balanced_accuracy or noise_robustness where nothing says where the attributes "
            "are in the validation images (analysis.regions). Received: 'localisation'"
        )
