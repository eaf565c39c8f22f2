"""Packages that single commands need and no other: one that is missing is asked for in a line. Imports none of them."""

import importlib.util

from mam_keras.errors import UserError

EXTRAS = {  # of pyproject.toml: the modules that its packages are imported as
    "direct": ("starlette", "uvicorn"),
    "serve": ("tensorflow_serving",),
    "tfds": ("tensorflow_datasets", "importlib_resources"),
    "tune": ("keras_tuner", "sklearn"),
}


def require(extra: str, what: str) -> None:
    """Raises `UserError` where a package of an extra is missing, saying how to get it; `what` needs it."""
    missing = [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{what}: expected the packages of the extra {extra}: pip install 'mam_keras[{extra}]'. "
            f"Received: no {missing[0]}"
        )
