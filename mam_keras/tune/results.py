"""What a search found, as files and as text: tuning.json, a table, and the winning configuration."""

from mam_keras.files import write_csv, write_record, write_text
from mam_keras.tune.search import number_of, values_of
from mam_keras.tune.space import with_values
from mam_keras.tune.trial import read_outcome


def collect(oracle, config, dimensions, directory) -> list[dict]:
    """Every trial that is over, in order.

    {"number": from 1, "run": name of its run directory, "values": {key: value}, "epochs": how many,
     "failed": why, or None, "measures": {MEASURE: value or None}, the same ones of every trial,
     "intervals": {MEASURE: [low, high]} of some measures}
    """
    trials = []
    for trial in sorted(oracle.trials.values(), key=number_of):
        path = directory.trial(number_of(trial))
        values, epochs = values_of(trial, config, dimensions)
        if outcome := read_outcome(path):
            trials.append(
                {
                    "number": number_of(trial),
                    "run": path.name,
                    "values": values,
                    "epochs": epochs,
                    "failed": outcome.get("failed"),
                    "measures": outcome.get("measures", {}),
                    "intervals": outcome.get("intervals", {}),
                }
            )
    every = dict.fromkeys(name for trial in trials for name in trial["measures"])
    return [trial | {"measures": every | trial["measures"]} for trial in trials]


def write(trials, best, config, dimensions, directory):
    """tuning.csv, best.yaml and tuning.json, which comes last, for it says that the search is finished.

    Args:
        trials: of `collect`.
        best: the winner among them.
    """
    write_csv(directory.table, [_row(trial) for trial in trials])
    winner = with_values(config, best["values"], config.training.epochs, str(directory.config))
    score = f"{config.tune.objective} {best['measures'][config.tune.objective]:.4f}"
    write_text(
        directory.best,
        f"# The best of {len(trials)} trials: {score} on validation after {best['epochs']} epochs.\n{winner.to_yaml()}",
    )
    summary = {
        "name": config.name,
        "objective": config.tune.objective,
        "oracle": config.tune.oracle,
        "space": {d.key: {"low": d.low, "high": d.high, "scale": d.scale} for d in dimensions},
        "best": best["number"],
        "failed": sum(trial["failed"] is not None for trial in trials),
        "trials": trials,
    }
    write_record(directory.results, summary)


def table(trials, best=None) -> str:
    """The trials as text, the best one marked; undefined is "–"."""
    rows = [{name: _text(value) for name, value in _row(trial).items()} for trial in trials]
    names = [name for name in rows[0] if name != "failed"]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = ["  ".join(f"{name:>{widths[name]}}" for name in names)]
    for trial, row in zip(trials, rows, strict=True):
        note = "best" if trial is best else f"failed: {trial['failed']}" if trial["failed"] else ""
        lines.append("  ".join([*(f"{row[name]:>{widths[name]}}" for name in names), note]).rstrip())
    return "\n".join(lines)


def _row(trial):
    return {
        "trial": trial["number"],
        **trial["values"],
        "epochs": trial["epochs"],
        **trial["measures"],
        "failed": trial["failed"],
    }


def _text(value):
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
