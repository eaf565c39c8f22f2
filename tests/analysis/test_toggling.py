"""What one attribute alone does to every logit: each pair of pictures drawn and answered by itself."""

import numpy as np
import pytest

from mam_keras.analysis import Unavailable, toggling
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.config import TableData
from mam_keras.data import synthetic_faces
from mam_keras.data.synthetic_faces import ATTRIBUTES, Scene, draw
from tests.analysis import untrained


@pytest.mark.parametrize("model", [{}, {"attribute_heads": False}])
def test_effects_are_differences_of_the_models_logits(train_small, monkeypatch, model):
    monkeypatch.setattr(toggling, "IMAGES", 6)
    chosen = ("Wearing_Hat", "Smiling", "Heavy_Makeup")
    path = train_small(data={"attributes": chosen}, model=model, training={"epochs": 1})
    run = TrainedRun(path)
    found = toggling.compute(run)
    labels = synthetic_faces.load(run.config.data).splits["test"].labels
    output = "multi_label_logits" if model else "attribute_logits"
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
    assert found.values["head"] == ("multi-label head" if model else "attribute heads")
    assert found.values["images"] == 6


def test_only_drawn_faces_can_be_toggled():
    other = untrained.run()
    other.config = other.config.model_copy(update={"data": TableData(source="table", file="x.csv")})
    with pytest.raises(Unavailable, match="only drawn faces"):
        toggling.compute(other)
    run = untrained.run()
    run.images = lambda split: None
    with pytest.raises(Unavailable, match="no test split"):
        toggling.compute(run)
