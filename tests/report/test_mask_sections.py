"""What the page says and shows of masks, their correlations and their transformation."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mam_keras import analysis
from mam_keras.analysis import correlations as correlations_analysis
from mam_keras.analysis import mask_grids as mask_grids_analysis
from mam_keras.analysis import masks as masks_analysis
from mam_keras.analysis import transformation as transformation_analysis
from mam_keras.analysis.needs import lacking
from mam_keras.data.celeba import Settings as CelebAData
from mam_keras.report import figures
from mam_keras.report.blocks import Figure, Gallery, Missing, Table
from mam_keras.report.sections import correlations, mask_grids, masks, transformation
from tests.analysis import untrained

SECTIONS = (masks, mask_grids, correlations, transformation)
ANALYSES = {
    "masks": masks_analysis,
    "correlations": correlations_analysis,
    "mask_grids": mask_grids_analysis,
    "transformation": transformation_analysis,
}
HOSTILE = ("<script>alert(1)</script>", "../../etc/passwd", "$x_{1}$", "Bangs")


@pytest.fixture
def drawn(monkeypatch):
    """drawn(run) draws every section that has its results: {module: section}, {analysis: result}."""

    def draw(run):
        results = {}

        def result_of(run, name, split):
            if name not in results:
                if (why := lacking(run, split, ANALYSES[name].NEEDS)) is not None:
                    raise analysis.Unavailable(why)
                results[name] = ANALYSES[name].compute(run, split)
            return results[name]

        monkeypatch.setattr(analysis, "result_of", result_of)
        for name in ANALYSES:
            try:
                result_of(run, name, "test")
            except analysis.Unavailable:
                assert run.network.masks is None
        page = SimpleNamespace(config=run.config, results=results, targets=run.targets)
        with figures.style():
            there = [module for module in SECTIONS if set(module.NEEDS) <= set(results)]
            return {module: module.section(page, []) for module in there}, results

    return draw


def named(section):
    return {block.name: block for block in section.blocks if hasattr(block, "name")}


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))


def test_every_attribute_has_a_grid_of_its_channels(drawn):
    run = untrained.run()
    sections, results = drawn(run)
    blocks, means = named(sections[masks]), results["masks"].arrays["mean"]
    ((_, cells),) = blocks["masks-mean"].rows
    assert [cell.label for cell in cells] == list(run.attributes)
    for mean, cell in zip(means, cells, strict=True):
        grid = pixels(cell.picture)
        side = grid.shape[1] // 4
        assert grid.shape == (2 * side, 4 * side, 4)  # eight channels, four in a row
        shown = grid[side // 2 :: side, side // 2 :: side, 3].ravel()  # the deeper, the less transparent
        np.testing.assert_allclose(shown / 255, mean / means.max(), atol=0.01)
        assert f"channel {mean.argmax()} " in cell.alternative


def test_a_grid_of_channels_that_fill_no_rectangle_ends_in_nothing():
    grid = masks._grid(np.ones(5), 4)
    side = grid.shape[1] // 4
    assert (grid[side:, side:, 3] == 0).all()
    assert (grid[:side, :, 3] > 0).all()
    assert [masks._columns(channels) for channels in (1, 2, 7, 8, 32, 64, 128)] == [1, 2, 4, 4, 8, 8, 16]


def test_statistics_are_the_analysiss(drawn):
    run = untrained.run()
    sections, results = drawn(run)
    found, section = results["masks"].arrays, sections[masks]
    table = named(section)["masks-statistics"]
    for k, row in enumerate(table.rows):
        assert row[0] == run.attributes[k]
        assert row[1] == pytest.approx(found["mean"][k].mean())
        assert row[4] == found["near_zero"][k]
        top = found["importance"][k].argmax()
        assert row[-1].startswith(f"{top} ({100 * found['importance'][k, top] / found['importance'][k].sum():.0f} %)")
    assert f"{100 * found['masked_share'].mean():.1f} % is due to the masks" in section.summary[1]


def test_where_the_mask_is_shut_the_picture_is_grey_and_where_it_is_open_it_glows():
    image, mask = np.full((32, 32, 3), 120, np.uint8), np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255
    overlay = mask_grids._overlay(image, mask)
    assert len(set(overlay[5, 5])) == 1
    assert overlay[5, 30, 0] > overlay[5, 30, 1] + 50 > overlay[5, 30, 2] + 100


def test_masks_stand_under_their_channels_number_beside_the_image(drawn):
    run = untrained.run(("Smiling", "Hat", "Mouth_Slightly_Open"))
    sections, results = drawn(run)
    found, section = results["mask_grids"], sections[mask_grids]
    blocks = named(section)
    for k, (title, cells) in enumerate(blocks["mask-grids-all"].rows):
        assert title == run.attributes[k]
        assert len(cells) == 2 * 4
        look = np.flatnonzero(found.arrays["attribute"] == k)[0]
        image = found.arrays["ids"][found.arrays["image"][look]]
        assert cells[0].label == f"map · {image}" + ("" if found.arrays["correct"][look] else " (missed)")
        shown = [int(cell.label.split(" ")[0]) for cell in cells[1:4]]
        np.testing.assert_array_equal(shown, found.arrays["channels"][k])
    titles = [title for title, _ in blocks["mask-grids-pair"].rows]
    assert titles[0].startswith("Smiling, ")
    assert titles[1] == titles[0].replace("Smiling", "Mouth_Slightly_Open")
    for row in blocks["mask-grids-shared"].rows:
        used = [name for name, rank in (("Smiling", row[2]), ("Mouth_Slightly_Open", row[4])) if rank <= 2]
        assert row[1] == ("both" if len(used) == 2 else used[0])
    assert "share" in section.summary[0]


def test_without_importances_the_open_channels_are_shown_and_it_is_said_why(drawn):
    sections, results = drawn(untrained.run(("Smiling", "Hat", "Mouth_Slightly_Open"), perception="stage"))
    table = named(sections[masks])["masks-statistics"]
    assert "most important channels" not in [column.title for column in table.columns]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert len(sections[masks].summary) == 1
    blocks = named(sections[mask_grids])
    assert "mask-grids-shared" not in blocks and sections[mask_grids].summary == ()
    assert "most open channels" in blocks["mask-grids-all"].caption
    shown = [int(cell.label.split(" ")[0]) for cell in blocks["mask-grids-all"].rows[0][1][1:4]]
    np.testing.assert_array_equal(shown, results["mask_grids"].arrays["channels"][0])


def test_neighbours_are_quoted_for_celeba_alone(drawn):
    names = ("Black_Hair", "Blond_Hair", "Male")
    run = untrained.run(names)
    assert len(named(drawn(run)[0][correlations])["correlations-nearest-attributes"].columns) == 6
    celeba = CelebAData(source="celeba", directory="celeba", image_size=16)
    run.config = run.config.model_copy(update={"data": celeba})
    table = named(drawn(run)[0][correlations])["correlations-nearest-attributes"]
    assert "quoted" in table.columns[-1].title
    assert [row[-1] for row in table.rows] == ["Blond Hair, Brown Hair, Bald, Wearing Hat, Gray Hair", None, None]


def test_pairs_are_ranked_and_the_first_one_is_told(drawn):
    random = np.random.default_rng(0)
    labels = random.random((300, 3)) < 0.5
    logits = 4.0 * labels - 2 + random.normal(size=labels.shape)
    logits[:, 2] += 3 * labels[:, 0]
    run = untrained.answer(untrained.run(images=300), labels, (1 / (1 + np.exp(-logits))).astype(np.float32))
    section = drawn(run)[0][correlations]
    rows = named(section)["correlations-pairs"].rows
    assert rows[0][:2] == ("Smiling", "Bangs")
    assert [row[-1].value for row in rows] == sorted((row[-1].value for row in rows), reverse=True)
    assert any(sentence.startswith("Smiling and Bangs go together in the logits") for sentence in section.summary)


def test_hostile_names_stay_text(drawn):
    sections, _ = drawn(untrained.run(HOSTILE))
    for section in sections.values():
        for block in section.blocks:
            if isinstance(block, Figure):
                assert "<script" not in block.picture
                assert "</svg>" in block.picture
    matrix = named(sections[correlations])["correlations-attributes"].picture
    assert "&lt;script" in matrix
    assert "$x_{1}$" in matrix


@pytest.mark.parametrize(
    ("names", "model", "missing"),
    [
        (("Smiling",), {}, {mask_grids: "no pair", correlations: "fewer than three"}),
        (("a", "b"), {}, {correlations: "fewer than three"}),
        (("a", "b", "c"), {"masks": "common"}, {mask_grids: "no pair", correlations: "share one mask"}),
        (("a", "b", "c"), {"masks": "none"}, {correlations: "no masks"}),
        (("a", "b", "c"), {"perception": "stage"}, {masks: "no sum over channels"}),
        (("a", "b", "c"), {"multi_label_head": False, "mask_offset": 0}, {}),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_drawn(drawn, names, model, missing):
    run = untrained.run(names, **model)
    if model.get("multi_label_head") is False:
        answers = run.predictions("test")
        run = untrained.answer(run, answers.labels, answers.probabilities["attributes"])
    sections, _ = drawn(run)
    assert len(sections) == (1 if model.get("masks") == "none" else 4)
    for module, section in sections.items():
        said = [block.text for block in section.blocks if isinstance(block, Missing)]
        assert any(missing[module] in text for text in said) if module in missing else not said
        assert any(isinstance(block, Figure | Gallery | Table) for block in section.blocks) or len(names) == 1
    if len(names) == 3:
        assert "correlations-pairs" in named(sections[correlations])


def test_an_attribute_of_one_class_is_undefined_not_zero(drawn):
    run = untrained.run()
    labels = run.predictions("test").labels.copy()
    labels[:, 1] = False
    section = drawn(untrained.answer(run, labels, run.predictions("test").probabilities["attributes"]))[0][correlations]
    blocks = named(section)
    assert [row[:2] for row in blocks["correlations-pairs"].rows] == [("Smiling", "Bangs")]
    assert "undefined" in blocks["correlations-labels"].caption


def test_the_curves_stand_over_the_mask_values_that_there_are(drawn):
    sections, results = drawn(untrained.run())
    section = sections[transformation]
    (figure,) = section.blocks
    assert "13 curves" in figure.alternative
    assert "(0.5, 8)" in figure.picture
    assert "no transformation" in figure.picture
    found = results["masks"].arrays["histogram"].sum(axis=0)
    middle = (1 + np.searchsorted(found.cumsum() / found.sum(), 0.5)) / 100
    assert f"Half of all mask values are under {middle:.2f}" in section.summary[0]
    assert "at an open mask it runs from 1.50 to 3.00" in section.summary[0]
