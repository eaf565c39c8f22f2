"""One export: loads the run's model and writes it, with all that travels with it, as the next version."""

import json
import zipfile

import keras
import tensorflow as tf
from tqdm import tqdm

import mam_keras.model  # noqa: F401 (registers the layers)
from mam_keras import analysis
from mam_keras.analysis import adaptation, result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.errors import UserError
from mam_keras.export import warmup
from mam_keras.export.description import describe, describe_rule
from mam_keras.export.signatures import signatures
from mam_keras.export.versions import next_version


def run(config, directory, base):
    """Writes the model of a finished `RunDirectory` to `base`, a folder of versions, and says what it wrote."""
    model = _load(directory.model)
    description = describe(config, directory, model)
    rule, reason = _rule(directory)
    version, names = write(model, description | {"automatic": rule and describe_rule(rule)}, base, rule)
    if "explain" not in names:
        print("note: without attribute heads there is nothing to transform or to explain")
    elif description["transformation"] is None:
        print("note: these heads have no masks; a and b are taken and change nothing")
    if rule is None:
        print(f"note: classify_automatic is left out: {reason}")
    print(f"Signatures: {', '.join(names)}")
    print(f"Thresholds: {description['thresholds']['note']}")
    print(f"Written: {version}")


def write(model, description, base, rule=None):
    """Writes a model of `model.build` as the next version in `base`: a SavedModel.

    In its `assets.extra`, which TF Serving does not load into the model, are the description, as mam_keras.json, and
    tf_serving_warmup_requests. With an `adaptation.Rule` of the model there are signatures that follow it. Returns the
    version's path and the names of its signatures.
    """
    tf.get_logger().setLevel("ERROR")  # "Assets written to" would name a folder that is about to be renamed
    found = signatures(model, rule)
    with next_version(base) as (unfinished, version):
        archive = keras.export.ExportArchive()
        for name, (function, specs) in tqdm(found.items(), desc="Signatures", disable=None, leave=False):
            archive.add_endpoint(name, function, specs)
        archive.write_out(str(unfinished), verbose=False)
        extra = unfinished / "assets.extra"
        extra.mkdir()
        text = json.dumps(description, indent=1, allow_nan=False, ensure_ascii=False)
        (extra / "mam_keras.json").write_text(text + "\n", encoding="utf-8")
        warmup.write(extra / "tf_serving_warmup_requests", found)
    return version, list(found)


def _rule(directory):
    """The run's `adaptation.Rule`, computed and kept in its `analysis/` where that lacks it; or None, and why.

    Only computing needs the data, and where they are gone, or the run cannot be written to, the export goes on without.
    """
    try:
        run = TrainedRun(directory.path)
        if result.read(run.folder, "adaptation", analysis.key(run, "adaptation")) is None:
            print(f"{run.folder} has no adaptation to noise yet; computing it on validation images", flush=True)
        return adaptation.rule(run), None
    except (analysis.Unavailable, UserError, OSError) as reason:
        return None, str(reason)


def _load(path):
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: expected the model of a finished run. Received: {reason}") from None
