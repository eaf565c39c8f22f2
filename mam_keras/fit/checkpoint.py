"""A training run's whole state in one file, replaced at once: the same command carries on from the last epoch.

Nothing random needs keeping: shuffling and augmentation follow from (seed, epoch).
"""

import json
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from mam_keras.files import checked_json, expecting, read_arrays, replacing

STATE = "state.json"  # beside the arrays, as the bytes of a JSON text
WHAT = "this run's checkpoint (--overwrite trains again)"


class State(TypedDict, total=False):
    """What is kept beside the variables; with the best epoch's the settings alone, which earlier versions left out."""

    history: list[dict[str, int | float]]
    stopped: bool
    callbacks: list[dict[str, Any]]
    settings: dict[str, Any]  # of `records.trained`


def save(path, model, state):
    """Writes all variables of the model and its optimizer, and `state`, plain values that JSON holds."""
    arrays = {name: variable.numpy() for name, variable in _variables(model).items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays, **{STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)})


def restore(path, model, content=None):
    """Gives the model and its optimizer the saved values and returns the saved state.

    `content` are the file's bytes where they have been read already, perhaps on another machine. Raises `UserError`
    where the file is damaged or belongs to another network.
    """
    variables, arrays = _variables(model), read_arrays(path, WHAT, content)
    with expecting(path, WHAT):
        state = checked_json(arrays.pop(STATE).tobytes(), State)
        kinds = {name: (array.shape, array.dtype.kind) for name, array in arrays.items()}
        if kinds != {name: (v.shape, np.dtype(v.dtype).kind) for name, v in variables.items()}:
            raise ValueError("that of another network")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return state


def _variables(model):
    kinds = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {f"{kind}/{name}": one for kind, variables in kinds.items() for name, one in named(variables).items()}


def named(variables):
    """{name: variable}, by path; of the same path, as copies of a stage may have, by their order."""
    found = {}
    for variable in variables:
        name, number = variable.path, 2
        while name in found:
            name, number = f"{variable.path}#{number}", number + 1
        found[name] = variable
    return found
