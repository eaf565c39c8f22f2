"""One study from its checked plan to its comparison report."""

from pathlib import Path

from mam_keras import command_line, data, trained_on
from mam_keras.errors import RunError, UserError
from mam_keras.files import write_json, write_text
from mam_keras.fit import guidance
from mam_keras.study import results, training
from mam_keras.study.analyses import analyse
from mam_keras.study.page import page


def run(study, directory, out=None):
    """Trains what is missing of a `plan.Study` in its opened `StudyDirectory`, asks what is missing, and compares.

    Args:
        out: the folder of the page, with `figures.json` beside it; reports/<the study's name> when None.

    Raises what `train` and `analyse` raise.
    """
    failed = train(study, directory)
    looked = analyse(study, directory, [name for name in study.configs if name not in failed])
    found = results.collect(study, looked, failed)
    results.write(found, directory)
    path = Path(out or Path("reports") / study.name) / "index.html"
    write_text(path, page(study, found, {name: one.reported for name, one in looked.items()}))
    write_json(path.with_name("figures.json"), results.figures(found))
    print(f"\n{results.table(found)}\n{len(study.configs)} runs, {len(failed)} of which failed")
    print(f"Written: {directory.results}, {directory.table.name} there, and {path}")


def train(study, directory) -> dict[str, str]:
    """Trains what is missing; returns {run: why} of the runs that failed.

    Raises `UserError` for data without validation images, or other data than finished runs had, and whatever `training`
    raises; `RunError` where no run completed, or not the baseline.
    """
    to_settle = training.to_settle(study, directory)
    runs = {directory.run(name): config for name, config in study.configs.items()}
    all_finished = all(run.finished for run in runs)
    if not all_finished:
        _require_possible(study)
        trained_on.require_same((run.data, config.data) for run, config in runs.items() if run.finished)
    directory.begin(study)
    for run, config in to_settle.items():
        run.write_config(config)
    if all_finished:
        return {}
    failed = training.train_missing(study, directory)
    if len(failed) == len(study.configs):
        raise RunError(f"none of {len(failed)} runs completed; the first failed: {next(iter(failed.values()))}")
    runs = study.groups[study.baseline]
    if all(name in failed for name in runs):
        raise RunError(f"the baseline {study.baseline}, which all are compared with, failed: {failed[runs[0]]}")
    return failed


def _require_possible(study):
    """Whatever only the data can tell, before the first run is trained."""
    command_line.import_tensorflow()  # drawn faces need it, and it shall not chatter
    seen = []
    for name, config in study.configs.items():
        source = next((source for section, source in seen if section == config.data), None)
        if source is None:
            source = data.load(config.data)
            seen.append((config.data, source))
        if "validation" not in source.splits:
            raise UserError(
                f"run {name}: data: expected a validation split: what is best is chosen on it. Received: none"
            )
        try:
            guidance.require_known(config, source.attributes)
        except UserError as error:
            raise UserError(f"run {name}: {error}") from None
