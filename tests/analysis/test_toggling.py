"""What one attribute alone does to every logit: each pair of pictures drawn and answered by itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import needs, toggling
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data import synthetic_faces
from mam_keras.data.source import Targets
from mam_keras.data.synthetic_faces import ATTRIBUTES, Scene, draw
from mam_keras.data.table import Settings as TableSettings
from tests.analysis import untrained


@pytest.mark.parametrize("model", [{}, {"attribute_heads": False}])
def test_effects_are_differences_of_the_models_logits(train_small, monkeypatch, model):
    monkeypatch.setattr(toggling, "IMAGES", 6)
    chosen = ("Wearing_Hat", "Smiling", "Heavy_Makeup")
    path = train_small(data={"attributes": chosen}, model=model, training={"epochs": 1})
    run = TrainedRun(path)
    found = toggling.compute(run, "test")
    labels = synthetic_faces.load(run.config.data).splits["test"].labels
    output = "multi_label" if model else "attributes"
    expected = np.zeros((3, 3))
    for index in range(6):
        for j, name in enumerate(chosen):
            answers = []
            for present in (True, False):
                attributes = labels[index].copy()
                attributes[ATTRIBUTES.index(name)] = present
                picture = draw(Scene(0, "test", index), attributes, 32)[None] / np.float32(255)
                answers.append(run.network.parts(picture)[output].numpy()[0])
            expected[j] += (answers[0] - answers[1]) / 6
    np.testing.assert_allclose(found.arrays["effects"][..., 0], expected, atol=1e-4)
    assert (found.arrays["effects"][..., 1] <= found.arrays["effects"][..., 2]).all()
    train = run.source.splits["train"].labels.astype(float)
    np.testing.assert_allclose(found.arrays["labels"], np.corrcoef(train.T), atol=1e-9)
    assert found.values["head"] == ("multi_label" if model else "attributes")
    assert found.values["images"] == 6


def test_only_drawn_faces_can_be_toggled():
    other = untrained.run()
    other.source = SimpleNamespace(splits={"test": None}, targets=Targets(("a", "b")))
    assert needs.lacking(other, "test", toggling.NEEDS) is None
    assert "no validation split" in needs.lacking(other, "validation", toggling.NEEDS)
    other.config = other.config.model_copy(update={"data": TableSettings(source="table", file="x.csv")})
    assert "only drawn faces" in needs.lacking(other, "test", toggling.NEEDS)
    other.targets = other.source.targets = Targets(("a", "b"), exclusive=True)
    assert "exclude each other" in needs.lacking(other, "test", toggling.NEEDS)
