"""One export: loads the run's model and writes it, with all that travels with it, as the next version."""

import json

import keras
import tensorflow as tf
from tqdm import tqdm

from mam_keras import analysis
from mam_keras.analysis import result, rule
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.errors import UserError
from mam_keras.export import warmup
from mam_keras.export.card import card
from mam_keras.export.description import describe, describe_rule
from mam_keras.export.signatures import signatures
from mam_keras.export.versions import next_version


def run(directory, base):
    """Writes the model of a finished `RunDirectory` to `base`, a folder of versions, and says what it wrote."""
    trained = TrainedRun(directory.path)
    description = describe(trained)
    chosen, reason = _rule(trained)
    automatic = chosen and describe_rule(chosen)
    version, names = write(trained.network, description | {"automatic": automatic}, base, chosen, card(trained))
    if description["transformation"] is None:
        print("note: this network has no masks that a pair (a, b) could transform")
    if chosen is None:
        print(f"note: classify_automatic is left out: {reason}")
    print("Model card: assets.extra/MODEL_CARD.md")
    print(f"Signatures: {', '.join(names)}")
    print(f"Thresholds: {description['thresholds']['note']}")
    print(f"Written: {version}")


def write(network, description, base, rule=None, about=None):
    """Writes a `model.network.Network` as the next version in `base`: a SavedModel that prepares images as described.

    In its `assets.extra`, which TF Serving does not load into the model, are the description, as mam_keras.json,
    tf_serving_warmup_requests, and `about` as MODEL_CARD.md where it is given. With an `rule.Rule` of the model there
    are signatures that follow it. Returns the version's path and the names of its signatures.
    """
    tf.get_logger().setLevel("ERROR")  # "Assets written to" would name a folder that is about to be renamed
    found = signatures(network, rule, description["preparation"]["fit"])
    with next_version(base) as (unfinished, version):
        archive = keras.export.ExportArchive()
        for name, (function, specs) in tqdm(found.items(), desc="Signatures", disable=None, leave=False):
            archive.add_endpoint(name, function, specs)
        archive.write_out(str(unfinished), verbose=False)
        extra = unfinished / "assets.extra"
        extra.mkdir()
        text = json.dumps(description, indent=1, allow_nan=False, ensure_ascii=False)
        (extra / "mam_keras.json").write_text(text + "\n", encoding="utf-8")
        if about is not None:
            (extra / "MODEL_CARD.md").write_text(about, encoding="utf-8")
        warmup.write(extra / "tf_serving_warmup_requests", found)
    return version, list(found)


def _rule(run):
    """The run's rule, computed and kept in its `analysis/` where that lacks it; or None, and why.

    Only computing needs the data, and where they are gone, or the run cannot be written to, the export goes on without.
    """
    try:
        if result.read(run.folder, "adaptation.validation", analysis.key(run, "adaptation", "validation")) is None:
            kept = run.directory.path / "analysis"
            print(f"{kept} has no adaptation to noise yet; computing it on validation images", flush=True)
        return rule.rule(run), None
    except (analysis.Unavailable, UserError, OSError) as reason:
        return None, str(reason)
