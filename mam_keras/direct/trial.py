"""The training that a page has started: begun, watched, stopped, kept or thrown away. It is the command itself.

So what a page trains can be repeated without it, and goes on when the page's server is killed. Knows no page.
"""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

from mam_keras import config as configuration
from mam_keras import directed, records
from mam_keras.direct import plan as plans
from mam_keras.direct import run as directing
from mam_keras.errors import UserError
from mam_keras.files import write_text
from mam_keras.run_directory import RunDirectory

PATIENCE = 20  # seconds that a stopped training has to keep its last epoch
STATES = ("none", "training", "stopped", "failed", "done")


class Trial:
    """The directed run in a session's folder.

    Args:
        run: the `TrainedRun` before.
        session: `session.Session`.
    """

    def __init__(self, run, session):
        self._run, self._session, self._process = run, session, None

    @property
    def told(self):
        """What the run says of itself; None where there is none."""
        return directed.read(self._session.trial.path)

    @property
    def state(self) -> str:
        """Of `STATES`."""
        told = self.told
        if told is None:
            return "none"
        if self._running(told):
            return "training"
        if all(directory.finished for directory in self._directories(told)):
            return "done"
        return "failed" if self.why else "stopped"

    @property
    def why(self) -> str | None:
        """The line with which a training ended that failed."""
        if not self._session.log.exists():
            return None
        with self._session.log.open("rb") as file:
            lines = file.read().decode(errors="replace").splitlines()
        found = [line for line in lines if line.startswith(("error: ", "stopped; "))]
        return found[-1].removeprefix("error: ") if found and found[-1].startswith("error: ") else None

    def progress(self) -> dict:
        """Of the two trainings together: `phase`, of two; `share` of it that is done; `left`, seconds of both, or None.

        Before and after the steps themselves, as a process starts and evaluates, nothing is known.
        """
        told = self.told
        own, control = self._directories(told)
        phase = 2 if own.finished else 1
        found = records.progress((own, control)[phase - 1])
        share = 0.0 if found is None else (found["epoch"] - 1 + found["step"] / found["steps"]) / found["epochs"]
        if share in (0, 1):
            return {"phase": phase, "share": share, "left": None}
        left = found["left"]
        if phase == 1 and not control.finished:  # which takes as long
            left += left / (1 - share)
        return {"phase": phase, "share": share, "left": left}

    def begin(self, names, changes):
        """Starts to direct attributes to the session's regions. Raises `UserError` for settings that cannot work."""
        self._forbid("training")
        session = self._session
        if not session.state.marks:
            raise UserError("regions: expected a region of at least one attribute. Received: none")
        plan = plans.make(self._run, session.trial.path, session.regions, names, changes)
        if self.told is not None:
            self.throw_away()
        plan = dataclasses.replace(plan, told=dataclasses.replace(plan.told, tried=list(session.state.tried)))
        directing.prepare(plan)
        _, (control, config) = plan.runs.values()
        spare = RunDirectory(session.spare)
        if spare.finished and directing.done(spare, config):
            shutil.rmtree(control.path)
            session.spare.rename(control.path)
        self._start(plan.told)

    def carry_on(self):
        """Goes on with a training that was stopped or failed."""
        self._forbid("training", "done", "none")
        self._start(self.told)

    def stop(self):
        """Ends the training, which keeps its last epoch."""
        told = self.told
        if told is None or not self._running(told):
            return
        pid = self._process.pid if self._process else int(self._pid.read_text())
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while self._running(told) and time.monotonic() < until:
            time.sleep(0.05)

    def keep(self, name):
        """Makes the run one like any other, beside the run before; returns its path. Raises `UserError` otherwise."""
        self._forbid("training", "stopped", "failed", "none")
        path = self._run.directory.path.resolve().parent / name
        if path.exists():
            raise UserError(f"name: expected one that no run has. Received: {name!r}, and {path} is there")
        told = self.told
        told.path.rename(path)
        directed.write(dataclasses.replace(told, path=path, control=path / directed.CONTROL))  # as reached from there
        kept = RunDirectory(path)
        config = configuration.load(kept.config)
        regions = str((path / directed.REGIONS).resolve())
        kept.write_config(config.model_copy(update={"loss": config.loss.model_copy(update={"regions": regions})}))
        self._session.note(kept=(*self._session.state.kept, name), tried=())
        return path

    def throw_away(self):
        """Removes the run, but not what was tried; its control serves the next one that is fine-tuned alike."""
        self._forbid("training", "none")
        told, session = self.told, self._session
        tried = {"attributes": list(told.attributes), "settings": told.settings}
        session.throw_away(tried | {"regions": configuration.settings.read(told.regions)})
        self._remove()

    def _start(self, told):
        session = self._session
        command = [sys.executable, "-m", "mam_keras.direct", *plans.command(told)]
        with session.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
            )
        write_text(self._pid, str(self._process.pid))

    @property
    def _pid(self):
        return self._session.folder / "trial.pid"

    def _running(self, told):
        if self._process is not None:
            if self._process.poll() is None:
                return True
            self._process = None
        return directing.training(told)  # of a server that was killed

    def _remove(self):
        session = self._session
        if self.told is None:
            return
        _, control = self._directories(self.told)
        if control.finished:
            shutil.rmtree(session.spare, ignore_errors=True)
            control.path.rename(session.spare)
        shutil.rmtree(session.trial.path)
        session.log.unlink(missing_ok=True)

    def _forbid(self, *states):
        if (state := self.state) in states:
            possible = ", ".join(one for one in STATES if one not in states)
            raise UserError(f"training: expected {possible}. Received: {state}")

    @staticmethod
    def _directories(told):
        return RunDirectory(told.path), RunDirectory(told.control)
