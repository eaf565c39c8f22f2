"""The drawn faces: the same each time, true to their labels, and neither too easy nor in unknown places."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mam_keras.data import synthetic_faces
from mam_keras.data.synthetic_faces import ATTRIBUTES, Scene, draw, region

SIZE = 64
INDICES = range(25)
LABELS = synthetic_faces.load(synthetic_faces.Settings(source="synthetic_faces")).splits["train"].labels

# In face coordinates (eyes at y = 0, chin near y = 1): y from, y to, |x| from, |x| to. A smile lifts the mouth's
# corners to 0.39, and a pixel is about 0.06.
PLACES = {
    "Bangs": (-0.85, -0.25, 0, 0.85),
    "Big_Nose": (-0.15, 0.65, 0, 0.5),
    "Bushy_Eyebrows": (-0.5, -0.05, 0, 0.8),
    "Eyeglasses": (-0.3, 0.4, 0, 1.0),
    "Goatee": (0.7, 1.25, 0, 0.55),
    "Heavy_Makeup": (-0.3, 0.6, 0, 0.85),
    "Mouth_Slightly_Open": (0.33, 1.0, 0, 0.55),
    "Mustache": (0.3, 0.75, 0, 0.7),
    "Narrow_Eyes": (-0.2, 0.2, 0, 0.75),
    "Smiling": (0.25, 1.0, 0, 0.65),
    "Wearing_Earrings": (0.1, 0.85, 0.45, 1.2),
    "Wearing_Hat": (-1.7, -0.4, 0, 1.4),
    "Wearing_Lipstick": (0.33, 1.0, 0, 0.55),
    "Wearing_Necktie": (1.1, 2.6, 0, 0.75),
}


def settings(**values):
    return synthetic_faces.Settings(source="synthetic_faces", **values)


def toggled(attributes, name):
    other = attributes.copy()
    other[ATTRIBUTES.index(name)] ^= True
    return other


def drawn(split):
    return np.stack([image for image, _ in split.images().as_numpy_iterator()])


def test_same_settings_give_the_same_pixels_and_other_seeds_others():
    first = drawn(synthetic_faces.load(settings(train=4)).splits["train"])
    again = drawn(synthetic_faces.load(settings(train=4)).splits["train"])
    other = drawn(synthetic_faces.load(settings(train=4, seed=1)).splits["train"])
    np.testing.assert_array_equal(first, again)
    assert all((a != b).mean() > 0.5 for a, b in zip(first, other, strict=True))


def test_images_are_the_scenes_with_their_labels_in_the_order_of_the_ids():
    split = synthetic_faces.load(settings(validation=40, image_size=32)).splits["validation"]  # more than one batch
    expected = [draw(Scene(0, "validation", i), split.labels[i], 32) for i in range(40)]
    images = drawn(split)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, expected)
    assert (split.ids[0], split.ids[39], len(split)) == ("validation-000000", "validation-000039", 40)
    assert split.groups is None


def test_an_image_does_not_depend_on_how_many_there_are():
    few, many = (synthetic_faces.load(settings(train=n)).splits["train"] for n in (5, 50))
    np.testing.assert_array_equal(few.labels, many.labels[:5])
    np.testing.assert_array_equal(few.ids, many.ids[:5])


def test_splits_share_neither_ids_nor_scenes():
    splits = synthetic_faces.load(settings(train=20, validation=20, test=20)).splits
    assert list(splits) == ["train", "validation", "test"]
    assert len({name for split in splits.values() for name in split.ids}) == 60
    backgrounds = [Scene(0, name, i).background.tobytes() for name in splits for i in range(20)]
    assert len(set(backgrounds)) == 60


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"image_size": 32}, {"co_occurrence": 0.9}], ids=lambda change: str(change)
)
def test_the_contents_follow_what_changes_the_images(change):
    before, after = synthetic_faces.load(settings()).splits["train"], synthetic_faces.load(settings(**change)).splits
    assert set(after["train"].contents()).isdisjoint(before.contents())
    every = np.concatenate([split.contents() for split in after.values()])
    assert len(set(every)) == len(every) == sum(map(len, after.values()))


@pytest.mark.parametrize("q", [0.0, 0.2, 0.5, 0.95, 1.0])
def test_co_occurrence_is_as_asked_and_both_rates_stay_a_half(q):
    labels = synthetic_faces.load(settings(train=10000, co_occurrence=q)).splits["train"].labels
    lipstick, makeup = (labels[:, ATTRIBUTES.index(name)] for name in ("Wearing_Lipstick", "Heavy_Makeup"))
    assert (lipstick == makeup).mean() == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / 10000))
    assert lipstick.mean() == pytest.approx(0.5, abs=0.02)  # four standard deviations
    assert makeup.mean() == pytest.approx(0.5, abs=0.02)


def test_the_test_split_may_have_its_own_co_occurrence():
    def agreement(split):
        lipstick, makeup = (ATTRIBUTES.index(name) for name in ("Wearing_Lipstick", "Heavy_Makeup"))
        return (split.labels[:, lipstick] == split.labels[:, makeup]).mean()

    shifted = synthetic_faces.load(settings(co_occurrence=1.0, test_co_occurrence=0.0)).splits
    assert [agreement(shifted[name]) for name in ("train", "validation", "test")] == [1, 1, 0]
    assert agreement(synthetic_faces.load(settings(co_occurrence=1.0)).splits["test"]) == 1


def test_attributes_are_neither_rare_nor_bound_to_each_other():
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) >= 12
    assert np.all((LABELS.mean(axis=0) > 0.2) & (LABELS.mean(axis=0) < 0.8))
    correlation = np.corrcoef(LABELS.T) - np.eye(len(ATTRIBUTES))
    assert np.abs(correlation).max() < 5 / np.sqrt(len(LABELS))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_changes_its_own_place_and_is_clearly_seen(name):
    k, (y_from, y_to, x_from, x_to) = ATTRIBUTES.index(name), PLACES[name]
    place = (np.arange(SIZE) + 0.5) / SIZE
    for index in INDICES:
        scene, attributes = Scene(0, "train", index), LABELS[index]
        change = draw(scene, attributes, SIZE).astype(int) - draw(scene, toggled(attributes, name), SIZE)
        changed = region(scene, attributes, k, SIZE)
        np.testing.assert_array_equal(changed, np.any(change != 0, axis=-1))
        np.testing.assert_array_equal(changed, region(scene, toggled(attributes, name), k, SIZE))
        assert changed.mean() < 0.2
        assert (np.abs(change).max(axis=-1) >= 25).sum() >= 10
        face = (place + 1j * place[:, None] - scene.centre) / scene.unit
        x, y = np.abs(face.real[changed]), face.imag[changed]
        assert y_from <= y.min()
        assert y.max() <= y_to
        assert x_from <= x.min()
        assert x.max() <= x_to


def test_a_region_is_the_same_place_at_another_size():
    for index in range(10):
        scene, attributes = Scene(0, "test", index), LABELS[index]
        for k in range(len(ATTRIBUTES)):
            small, large = region(scene, attributes, k, 64), region(scene, attributes, k, 128)
            halves = large.reshape(64, 2, 64, 2).any(axis=(1, 3))
            assert (small & halves).sum() >= 0.75 * (small | halves).sum()


def test_a_linear_model_on_the_pixels_is_better_than_chance_and_far_from_solving_it():
    splits = synthetic_faces.load(settings(train=2000, test=500)).splits
    pixels = {  # means of 2 x 2 pixels: a linear model is better on them, as neighbours say the same
        name: drawn(splits[name]).reshape(-1, 32, 2, 32, 2, 3).mean((2, 4), dtype=np.float32).reshape(-1, 3072)
        for name in ("train", "test")
    }
    model = make_pipeline(StandardScaler(), Ridge(alpha=1000)).fit(pixels["train"], splits["train"].labels)
    predicted = model.predict(pixels["test"]) > splits["train"].labels.mean(axis=0)
    accuracy = np.mean([balanced_accuracy_score(splits["test"].labels[:, k], predicted[:, k]) for k in range(14)])
    assert 0.6 < accuracy < 0.85
