"""What analyses may ask of a run, and why a run may not have it. Each is a question to the network or to the data."""


def lacking(run, split, names):
    """Why a run lacks the first of the `NEEDS` that it does not have; None where it has all.

    Args:
        run: `trained_run.TrainedRun`.
        split: which images are asked about.
        names: of `NEEDS`.
    """
    return next((why for name in sorted(names, key=list(NEEDS).index) if (why := NEEDS[name](run, split))), None)


def _predictions(run, split):
    return None if run.predictions(split) is not None else f"the run left no predictions of the {split} split"


def _labels(run, split):
    return None if run.predictions(split).known.any() else f"no label of the {split} images is known"


def _images(run, split):
    return None if split in run.source.splits else f"the data have no {split} split"


def _choice(run, split):
    if run.config.data.train_on_validation:
        return "the model was trained on the validation images"
    return None if "validation" in run.source.splits else "the data have no validation split"


def _independent(run, split):
    return "the targets exclude each other" if run.targets.exclusive else None


def _drawn(run, split):
    if run.config.data.is_drawn:
        return None
    return "only drawn faces (source: synthetic_faces) can be drawn again with one attribute changed"


def _maps(run, split):
    return None if run.network.maps else "the network has no maps"


def _stages(run, split):
    return None if len(run.network.stages) > 1 else "the network has no stages from low to high"


def _positions(run, split):
    return None if run.network.positions else "the network weighs all positions alike, in every image"


def _masks(run, split):
    return None if run.network.masks else "the network has no masks that could be transformed"


def _reconstruction(run, split):
    return None if "reconstruction" in run.network.outputs else "the network has no reconstructor"


NEEDS = {  # cheap ones first: what only the model can tell comes last
    "predictions": _predictions,
    "labels": _labels,  # some that are known, of images with predictions
    "images": _images,
    "choice": _choice,  # validation images on which something may be chosen or fitted
    "independent": _independent,
    "drawn": _drawn,
    "maps": _maps,
    "stages": _stages,
    "positions": _positions,  # that were learned
    "masks": _masks,
    "reconstruction": _reconstruction,
}
