"""A training run's whole state in one file, replaced at once: the same command carries on from the last epoch.

Nothing random needs keeping: shuffling and augmentation follow from (seed, epoch).
"""

import io
import json
import zipfile

import numpy as np

from mam_keras.errors import RunError
from mam_keras.files import replacing

STATE = "state.json"  # beside the arrays, as the bytes of a JSON text


def save(path, model, state):
    """Writes all variables of the model and its optimizer, and `state`, plain values that JSON holds."""
    arrays = {name: variable.numpy() for name, variable in _variables(model).items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays, **{STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)})


def restore(path, model, content=None):
    """Gives the model and its optimizer the saved values and returns the saved state.

    `content` are the file's bytes where they have been read already, perhaps on another machine. Raises `RunError`
    where the file is damaged or belongs to another network.
    """
    variables = _variables(model)
    try:
        file = io.BytesIO(path.read_bytes() if content is None else content)
        with np.load(file, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        state = json.loads(arrays.pop(STATE).tobytes())
        if {name: array.shape for name, array in arrays.items()} != {name: v.shape for name, v in variables.items()}:
            raise ValueError("its variables are not this network's")
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: expected this run's checkpoint. Received: {error}; --overwrite trains again") from None
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return state


def _variables(model):
    """{name: variable}, by path; of the same path, as copies of a stage may have, by their order."""
    named = {}
    for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for variable in variables:
            name, number = f"{kind}/{variable.path}", 2
            while name in named:
                name, number = f"{kind}/{variable.path}#{number}", number + 1
            named[name] = variable
    return named
