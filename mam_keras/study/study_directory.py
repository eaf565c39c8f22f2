"""The directory of a study: which files there are, and who may work in it. Knows nothing of what is in them."""

import contextlib
from pathlib import Path

from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.run_directory import RunDirectory, locked, remove_partial, write_text

OWN_FILES = ("study.yaml", "study.json", "study.csv", "fit")


class StudyDirectory:
    """Paths of one study.

    study.yaml              the study's file, as it was last run
    RUN                     a run directory for each of its runs
    fit/RUN.yaml, RUN.log   what `fit` was started with, and what it printed
    """

    def __init__(self, path):
        self.path = Path(path)
        self.file = self.path / "study.yaml"

    def run(self, name) -> RunDirectory:
        return RunDirectory(self.path / name)

    def fit_config(self, name) -> Path:
        return self.path / "fit" / f"{name}.yaml"

    def fit_log(self, name) -> Path:
        return self.path / "fit" / f"{name}.log"

    @contextlib.contextmanager
    def open(self, study):
        """Holds the directory for a `plan.Study`: new, carried on, or with other runs than before.

        Raises `UserError` for the directory of another study, and for a folder that holds something else, cannot be
        written, or is held by another process.
        """
        with contextlib.ExitStack() as held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self.path, wait=False))
                remove_partial(self.path)
                if self.file.exists():
                    self._require(study.name)
                elif any(self.path.iterdir()):
                    raise UserError(
                        f"{self.path}: expected the directory of a study, or none. Received: a folder that holds "
                        "other things"
                    )
                write_text(self.file, study.to_yaml())
            except BlockingIOError:
                raise UserError(
                    f"{self.path}: expected a study that nothing is working on. Received: another process holds it"
                ) from None
            except OSError as error:
                raise UserError(
                    f"{self.path}: expected a directory that can be written (--run). Received: {error.strerror}"
                ) from None
            yield

    def _require(self, name):
        there = configuration.read(self.file).get("name")
        if there != name:
            raise UserError(
                f"{self.file}: expected the study {name!r}. Received: {there!r}; choose another --run, or rename it"
            )
