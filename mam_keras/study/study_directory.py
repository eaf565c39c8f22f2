"""The directory of a study: which files there are, and who may work in it. Knows nothing of what is in them."""

from pathlib import Path

from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.files import held, marked, write_mark
from mam_keras.run_directory import RunDirectory

OWN_FILES = ("study.yaml", "study.json", "study.csv", "fit")


class StudyDirectory:
    """Paths of one study.

    study.yaml              the study's file, as it was last run
    RUN                     a run directory for each of its runs
    fit/RUN.yaml, RUN.log   what each was started with, and what it printed
    study.csv               a row for each run
    study.json              what was found; written last
    """

    def __init__(self, path):
        self.path = Path(path)
        self.file = self.path / "study.yaml"
        self.table = self.path / "study.csv"
        self.results = self.path / "study.json"

    def run(self, name) -> RunDirectory:
        return RunDirectory(self.path / name)

    def config(self, study, name):
        """The `config.Config` of a run of a `plan.Study`, which may start from another one here."""
        config = study.configs[name]
        if name not in study.starts:
            return config
        start = {"start_from": str(self.run(study.starts[name]).path)}
        return config.model_copy(update={"training": config.training.model_copy(update=start)})

    def open(self, study):
        """Holds the directory (`held`) for a `plan.Study`: new, to carry on, or with other runs than before.

        Raises `UserError` for the directory of another study.
        """
        return held(self.path, "study", self._is_study, lambda: self._check(study))

    def begin(self, study):
        """Makes the opened directory that of the study."""
        write_mark(self.file, study.to_yaml())

    def _is_study(self):
        """Whether `open` made it one; earlier versions left no mark but what the runs were started with."""
        return marked(self.file) or (self.file.exists() and self.path.joinpath("fit").is_dir())

    def _check(self, study):
        there = configuration.read(self.file).get("name") if self.file.exists() else study.name
        if there != study.name:
            raise UserError(
                f"{self.file}: expected the study {study.name!r}. Received: {there!r}; choose another --run, or "
                "rename it"
            )
