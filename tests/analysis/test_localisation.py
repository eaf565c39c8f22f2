"""Where maps fall: by hand on 4 x 4 positions, against whole arrays of pixels, and for every kind of network."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import Unavailable, localisation, regions, true_positives
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.config import Evaluation
from mam_keras.model.network import Map
from tests.analysis import looked_at

# A map on 4 x 4 positions and the shares of their blocks that lie in a region
MAP = np.array([[0, 0, 0, 0], [0, 6, 2, 0], [0, 1, 1, 0], [0, 0, 0, 0]], float)
INSIDE = np.array([[0, 0, 0, 0], [0, 0.5, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
EVERYWHERE = np.ones((4, 4))


def test_a_map_and_a_region_by_hand():
    ratio, pointing, peak = localisation.measure(MAP, INSIDE, EVERYWHERE)
    assert ratio == pytest.approx((6 * 0.5 + 2) / 10 / (1.5 / 16))  # half of the energy on 3/32 of the area
    assert (pointing, peak) == (1, 0.5)  # the highest block meets the region, and half of it lies inside


def test_maps_side_by_side_are_measured_one_by_one():
    elsewhere = np.rot90(MAP, 2)  # its highest position is outside
    ratio, pointing, peak = localisation.measure(np.stack([MAP, elsewhere]), INSIDE, EVERYWHERE)
    np.testing.assert_allclose(ratio, [16 / 3, (1 * 0.5 + 1 * 1) / 10 / (1.5 / 16)])
    np.testing.assert_allclose(pointing, [1, 0])
    np.testing.assert_allclose(peak, [0.5, 0])


def test_an_empty_map_counts_as_uniform_and_equally_high_positions_as_one_each():
    for nothing in (0 * MAP, EVERYWHERE):
        ratio, pointing, peak = localisation.measure(nothing, INSIDE, EVERYWHERE)
        assert ratio == pytest.approx(1)
        assert pointing == pytest.approx(2 / 16)
        assert peak == pytest.approx(1.5 / 16)


def test_what_nobody_annotated_counts_for_nothing():
    counted = EVERYWHERE.copy()
    counted[0], counted[1, 1], counted[3, 3] = 0, 0.5, 0  # of the highest block the half inside the region counts
    loud = MAP.copy()
    loud[0] = 100
    ratio, pointing, peak = localisation.measure(loud, INSIDE, counted)
    assert ratio == pytest.approx((6 * 0.5 + 2) / (6 * 0.5 + 2 + 1 + 1) / (1.5 / 10.5))
    assert (pointing, peak) == (1, 1)


class Squares:
    """Regions that differ by image and attribute; a quarter of the pixels does not count; one image has none."""

    name = "squares"

    def __init__(self, run):
        self.images = run.images("test")

    def region(self, row, k):
        inside = np.zeros((16, 16), bool)
        inside[row % 7 : row % 7 + 5, 2 * k : 2 * k + 7] = row != 3
        return inside

    def counted(self, row):
        counted = np.ones((16, 16), bool)
        counted[12:] = False
        return counted


def localise(run, monkeypatch):
    monkeypatch.setattr(regions, "region_sets", lambda *_: [Squares(run)])
    return localisation.compute(run, "test")


@pytest.mark.parametrize("masks", ["per_feature", "common"])
def test_streamed_is_whole_in_pixels(monkeypatch, masks):
    monkeypatch.setattr(localisation, "MOST", 15)
    run = looked_at.balanced(masks=masks, images=60, batch_size=7, groups=np.arange(60) // 3)
    found = localise(run, monkeypatch)
    scores = looked_at.contributions(run, looked_at.pictures(run)).sum(axis=-1)
    logits = looked_at.logits(run, looked_at.pictures(run))
    labels, where = run.images("test").labels, Squares(run)
    ratios, pointing = [], []
    for k in range(3):
        rows = np.flatnonzero((logits[:, k] >= 0) & labels[:, k])[:15]
        rows = rows[rows != 3]
        assert found.arrays["squares.count"][k] == len(rows)
        counted = where.counted(0)
        pixels = np.maximum(scores[rows, :, :, k], 0).repeat(2, axis=1).repeat(2, axis=2) * counted
        inside = np.stack([where.region(row, k) & counted for row in rows])
        share = (pixels * inside).sum(axis=(1, 2)) / pixels.sum(axis=(1, 2))
        ratios.append((share / (inside.sum(axis=(1, 2)) / counted.sum())).mean())
        highest = [divmod(one.argmax(), 16) for one in pixels]
        hits = [one[y : y + 2, x : x + 2].any() for one, (y, x) in zip(inside, highest, strict=True)]
        pointing.append(np.mean(hits))
    assert np.isfinite(ratios).all()
    np.testing.assert_allclose(found.arrays["squares.ratio"][:, 0, 0], ratios, rtol=1e-4)
    np.testing.assert_allclose(found.arrays["squares.pointing"][:, 0, 0], pointing, atol=1e-6)
    run.config = run.config.model_copy(update={"evaluation": Evaluation(batch_size=60)})
    again = localise(run, monkeypatch)
    for name, array in found.arrays.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(again.arrays[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)


def test_the_headline_is_about_the_attributes_with_small_regions(monkeypatch):
    run = looked_at.balanced(images=60)
    found = localise(run, monkeypatch)
    values, ratio = found.values["squares"], found.arrays["squares.ratio"][:, 0, 0]
    small = [run.attributes.index(name) for name in values["small"]]
    assert small == np.flatnonzero(found.arrays["squares.area"] < 0.4).tolist() != []
    assert found.arrays["squares.small.ratio.mean"][0, 0] == pytest.approx(ratio[small].mean())
    pointing = found.arrays["squares.pointing"][small, 0, 0]
    assert found.arrays["squares.small.pointing.mean"][0, 0] == pytest.approx(pointing.mean())
    uniform = found.values["methods"].index("uniform")
    np.testing.assert_allclose(found.arrays["squares.ratio"][small, uniform], 1)


def test_pictures_are_of_the_first_image_with_a_region(monkeypatch):
    run = looked_at.balanced(images=60)
    found = localise(run, monkeypatch)
    scores = looked_at.contributions(run, looked_at.pictures(run)).sum(axis=-1)
    positives = (looked_at.logits(run, looked_at.pictures(run)) >= 0) & run.images("test").labels
    positives[3] = False
    for k in range(3):
        row = positives[:, k].argmax()
        assert found.arrays["squares.ids"][k] == f"{row}.png"
        np.testing.assert_array_equal(found.arrays["squares.images"][k], run.images("test").images[row])
        expected = np.maximum(scores[row, :, :, k], 0)
        np.testing.assert_allclose(found.arrays["squares.maps"][k, 0] / 255, expected / expected.max(), atol=0.003)


BOTH = ["contributions", "grad_cam"]


@pytest.mark.parametrize(
    ("model", "maps"),
    [
        ({"masks": "none"}, BOTH),
        ({"mask_offset": 0, "pooled_share": 0.25}, BOTH),
        ({"multi_label_head": False, "reconstructor": False}, BOTH),
        ({"attribute_heads": False}, ["grad_cam"]),
        ({"system": "plain"}, BOTH),
    ],
)
def test_every_kind_of_network(monkeypatch, model, maps):
    run = looked_at.balanced(images=60, attributes=("Smiling",), **model)
    found = localise(run, monkeypatch)
    assert found.values["methods"] == [*maps, "untrained", "blob", "uniform"]
    assert list(found.values["maps"]) == maps
    assert found.values["maps"]["grad_cam"] == {
        "title": run.network.maps["grad_cam"].title,
        "note": run.network.maps["grad_cam"].note,
        "signed": False,
    }
    assert found.arrays["squares.ratio"].shape == (1, len(maps) + 3, 3)
    assert np.isfinite(found.arrays["squares.ratio"]).all()
    assert found.arrays["squares.maps"].shape == (1, len(maps), 8, 8)
    assert found.values["seen"] == 7


def test_learned_positions_alone_are_a_control(monkeypatch):
    run = looked_at.balanced(images=120, learned_positions=True)
    found, where = localise(run, monkeypatch), Squares(run)
    methods = found.values["methods"]
    assert methods[-3:] == ["blob", "positions", "uniform"]
    found_at = looked_at.logits(run, looked_at.pictures(run)) >= 0
    for k, weights in enumerate(np.moveaxis(run.network.positions().numpy(), -1, 0)):
        rows = [row for row in np.flatnonzero(found_at[:, k] & run.images("test").labels[:, k]) if row != 3]
        pixels, counted = weights.repeat(2, axis=0).repeat(2, axis=1), where.counted(0)
        inside = [where.region(row, k) & counted for row in rows]
        shares = [pixels[one].sum() / pixels[counted].sum() / (one.sum() / counted.sum()) for one in inside]
        assert found.arrays["squares.ratio"][k, methods.index("positions"), 0] == pytest.approx(
            np.mean(shares), rel=1e-4
        )
    headline, mean = localisation.headline(found), found.arrays["squares.small.ratio.mean"]
    assert headline["localisation_positions"].value == mean[methods.index("positions"), 0]


def test_targets_that_exclude_each_other(monkeypatch):
    monkeypatch.setattr(true_positives, "LEAST", 1)
    run = looked_at.run(images=40, exclusive=True)
    images, logits = run.images("test"), np.asarray(run.network.logits(looked_at.pictures(run)))
    images.labels[:] = np.arange(3) == np.random.default_rng(2).integers(0, 3, (40, 1))
    found = localise(run, monkeypatch)
    expected = images.labels & (np.arange(3) == logits.argmax(axis=1)[:, None])
    expected[3] = False
    np.testing.assert_array_equal(found.arrays["squares.count"], expected.sum(axis=0))
    assert expected.any()


def test_one_map_for_all_targets_on_a_coarser_grid_is_measured_on_it(monkeypatch):
    run = looked_at.balanced(images=60)
    for network in (run.network, run.untrained):
        one = Map("middle", "", False, lambda images: images[:, 1::4, 1::4, :1])
        network.maps = {"middle": one, **network.maps}
    found = localise(run, monkeypatch)
    assert found.values["methods"][:3] == ["middle", "contributions", "grad_cam"]
    assert found.values["grid"] == [4, 4]
    assert found.arrays["squares.maps"].shape == (3, 3, 4, 4)
    middle, blob = (found.values["methods"].index(name) for name in ("middle", "untrained"))
    np.testing.assert_array_equal(found.arrays["squares.ratio"][:, middle], found.arrays["squares.ratio"][:, blob])


def test_unknown_labels_are_not_looked_for(monkeypatch):
    run = looked_at.balanced(images=60)
    images = run.images("test")
    run.images = lambda split: images
    before = localise(run, monkeypatch).arrays["squares.count"]
    images.known[:, 1] = False
    after = localise(run, monkeypatch).arrays["squares.count"]
    np.testing.assert_array_equal(after, before * [1, 0, 1])


def test_what_a_study_tabulates(monkeypatch):
    found = localise(looked_at.balanced(images=60), monkeypatch)
    headline, mean = localisation.headline(found), found.arrays["squares.small.ratio.mean"]
    energy = ["localisation", "localisation_grad_cam", "localisation_blob"]
    assert list(headline) == [*energy, "pointing", "pointing_grad_cam", "pointing_blob", "localised"]
    assert headline["localisation"].value == mean[0, 0]
    assert headline["localisation_grad_cam"].low == mean[1, 1]
    assert headline["localisation_blob"].high == mean[found.values["methods"].index("blob"), 2]
    assert headline["localised"].value == len(found.values["squares"]["small"])
    found.values["parts"], found.values["sets"] = found.values["squares"], ["parts", "squares"]
    for name in ("ratio", "pointing"):
        found.arrays[f"parts.small.{name}.mean"] = 2 * found.arrays[f"squares.small.{name}.mean"]
    both = localisation.headline(found)  # parts are other images
    assert {name: both[name] for name in headline} == headline
    assert both["localisation_parts"].value == 2 * mean[0, 0]
    names = ("localisation_parts", "pointing_parts")
    of_parts = {f"{name}{control}" for name in names for control in ("", "_grad_cam", "_blob")}
    assert set(both) - set(headline) == {*of_parts, "localised_parts"}


def test_without_true_positives_nothing_is_reported(monkeypatch):
    run = looked_at.run()
    run.images("test").labels[:] = False
    found = localise(run, monkeypatch)
    assert found.values["squares"] == {"images": 12, "small": []}
    assert np.isnan(found.arrays["squares.ratio"]).all()
    assert localisation.headline(found)["localisation"].value is None


def test_drawn_faces_are_localised_by_their_exact_regions(small_run):
    run = TrainedRun(small_run)
    found = localisation.compute(run, "test")
    assert found.values["sets"] == ["exact"]
    assert found.values["seen"] == 1 + 2 * 3 + 2 * 4 * 3
    assert found.arrays["exact.count"].max() > 0
    run.predictions = lambda split: None  # the network answers again
    again = localisation.compute(run, "test")
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)


def test_a_split_that_is_not_there(small_run):
    run = TrainedRun(small_run)
    missing = SimpleNamespace(config=run.config, attributes=run.attributes, images=lambda split: None)
    with pytest.raises(Unavailable, match="no test split"):
        localisation.compute(missing, "test")
