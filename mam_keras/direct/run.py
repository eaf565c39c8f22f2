"""Directs a run: trains the directed run and its control, each as a process of its own, or carries on with them."""

import contextlib
import shutil
import threading
import time

from mam_keras import child, command_line, data, directed, records
from mam_keras import config as configuration
from mam_keras.errors import UserError
from mam_keras.files import locked, write_text
from mam_keras.fit import cluster
from mam_keras.run_directory import carried_over

TELL_EVERY = 10  # seconds between two lines on how far a training is


def run(plan, overwrite=False, workers=None):
    """Trains what is missing of a `plan.Plan`: killed at any moment, the same call carries on.

    Args:
        workers: `cluster.Cluster` of the workers that train together, each by this call; they share the directory.

    Raises `UserError` for a directory that is finished, or holds another run, and whatever `child.train` raises. A new
    directory goes again where the first training is refused.
    """
    if workers is not None and not workers.chief:
        cluster.meet(workers)  # by then the chief has made the directory ready
        if directed.read(plan.told.path) is None:
            raise UserError(
                f"{plan.told.path}: expected a folder that all workers share. Received: one that this worker does not "
                "have"
            )
        return _train(plan, workers)
    folder, new = plan.told.path / "fit", not plan.told.path.exists()
    with contextlib.ExitStack() as held:
        if folder.is_dir():
            held.enter_context(_alone(folder))
        try:
            prepare(plan, overwrite)
            if not folder.is_dir():
                folder.mkdir()
                held.enter_context(_alone(folder))
            if workers is not None:
                cluster.meet(workers)
            _train(plan, workers)
        except UserError:
            if new and not _begun(plan):
                shutil.rmtree(plan.told.path, ignore_errors=True)
            raise


def prepare(plan, overwrite=False):
    """Makes the two directories ready, with the regions and `directed.json`, before anything is trained."""
    told, there = plan.told, directed.read(plan.told.path)
    for directory, _ in plan.runs.values():
        child.await_other(directory)
    if overwrite:  # while what is there still is: what only the data can tell
        command_line.import_tensorflow()
        data.load(plan.config.data)
    elif there is not None:
        _require_same(plan, there)
    to_train = [name for name, (directory, config) in plan.runs.items() if overwrite or not done(directory, config)]
    if not to_train:
        raise UserError(
            f"{told.path}: expected an unfinished run. Received: a finished one; --overwrite directs it again"
        )
    for name in to_train:
        directory, config = plan.runs[name]
        with directory.open(config, overwrite):
            directory.begin(config)
            if name == "directed":
                write_text(told.regions, plan.regions)
                directed.write(told)


def done(directory, config) -> bool:
    """Whether a run of this configuration is finished."""
    return directory.finished and carried_over(configuration.load(directory.config), config) == config


def training(told) -> bool:
    """Whether a process is at work on a directed run."""
    folder = told.path / "fit"
    if not folder.is_dir():
        return False
    try:
        with locked(folder, wait=False):
            return False
    except BlockingIOError:
        return True


def _begun(plan):
    return any(directory.begun or directory.finished for directory, _ in plan.runs.values())


def _require_same(plan, there):
    """Raises `UserError` where what was begun started from another model, or was told of other regions."""
    if not _begun(plan):
        return
    if there.model != plan.told.model:
        raise UserError(
            f"{there.path / directed.FILE}: expected a run that started from the model of {plan.told.before}. "
            "Received: one that started from another model; choose another --run, or --overwrite"
        )
    if there.regions.exists() and there.regions.read_text(encoding="utf-8") != plan.regions:
        raise UserError(
            f"{there.regions}: expected the regions of --regions to go on with. Received: others; choose another --run,"
            " or --overwrite"
        )


@contextlib.contextmanager
def _alone(folder):
    try:
        with locked(folder, wait=False):
            yield
    except BlockingIOError:
        raise UserError(
            f"{folder.parent}: expected a run that nothing is working on. Received: another process directs it"
        ) from None


def _train(plan, workers):
    folder = plan.told.path / "fit"
    for name, (directory, config) in plan.runs.items():
        if done(directory, config):
            print(f"{name}: finished before", flush=True)
            continue
        kept = folder / (name if workers is None else f"{name}-worker{workers.index}")
        print(f"{name}: {directory.path}, what it prints: {kept}.log", flush=True)
        start = time.monotonic()
        with _telling(directory):
            child.train(config, directory, kept=kept, together=workers is not None)
        print(f"{name}: trained in {time.monotonic() - start:.0f} s", flush=True)
    print(f"Written: {plan.told.path}; python -m mam_keras.report {plan.told.path} compares it with the run before")


@contextlib.contextmanager
def _telling(directory):
    """Prints now and then how far a run is, from another thread, while it is trained."""
    over = threading.Event()

    def tell():
        while not over.wait(TELL_EVERY):
            if found := records.progress(directory):
                share = 100 * (found["epoch"] - 1 + found["step"] / found["steps"]) / found["epochs"]
                print(f"  {share:.0f} % of training, {found['left']:.0f} s left", flush=True)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
