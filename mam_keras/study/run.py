"""One study from its checked plan to its runs, trained."""

from mam_keras import data
from mam_keras.errors import RunError, UserError
from mam_keras.study import training


def run(study, directory):
    """Trains what is missing of a `plan.Study` in its opened `StudyDirectory`.

    Raises `UserError` for data without validation images, and whatever `training` raises; `RunError` where no run
    completed, or not the baseline.
    """
    _require_validation(study)
    training.settle(study, directory)
    failed = training.train_missing(study, directory)
    count = len(study.configs)
    print(f"{count} runs, {len(failed)} of which failed" if failed else f"{count} runs", flush=True)
    if len(failed) == count:
        raise RunError(f"none of {count} runs completed; the first failed: {next(iter(failed.values()))}")
    if study.baseline in failed:
        raise RunError(f"the baseline {study.baseline}, which all are compared with, failed: {failed[study.baseline]}")


def _require_validation(study):
    seen = []
    for name, config in study.configs.items():
        if config.data not in seen:
            seen.append(config.data)
            if "validation" not in data.load(config.data).splits:
                raise UserError(
                    f"run {name}: data: expected a validation split: what is best is chosen on it. Received: none"
                )
