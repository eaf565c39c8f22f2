"""The first screen: sentences that follow from made-up results, and silence about what was not measured."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis.result import Result
from mam_keras.report.opening import opening
from tests.report.test_accuracy_sections import result_of

SURE, NONE, WORSE = (1.0, 0.9, 1.1), (0.1, -0.5, 0.7), (-1.0, -1.1, -0.9)


def of(gains, other_data="", **results):
    config = SimpleNamespace(analysis=SimpleNamespace(split="test"), data=SimpleNamespace(SHOWS="a drawn face"))
    results = results if "accuracy" in results else results | {"accuracy": result_of(gains)}
    return opening(SimpleNamespace(results=results, config=config, other_data=other_data))


def faithfulness(*over_the_middle):
    """Of attributes for which covering what the map marks costs so much more than covering the middle."""
    k = len(over_the_middle)
    difference = np.array([[SURE, one] for one in over_the_middle])
    missed = np.array([[0.8, 0.7, 0.9], [0.1, 0.0, 0.2], [0.3, 0.2, 0.4]])
    arrays = {"covering.difference": difference, "logit": np.ones(k), "missed": np.repeat(missed[None], k, axis=0)}
    arrays |= {"missed.mean": missed, "missed.difference.mean": np.array([[0.7, 0.6, 0.8], [0.5, 0.4, 0.6]])}
    return Result({"attributes": [f"Name{n}" for n in range(k)], "positions": [26, 256]}, arrays)


def said(found, question):
    (text,) = [one.text for one in found.findings if one.title == question]
    return text


def test_what_is_clearly_worse_than_always_saying_no_is_said_to_be():
    found = of([(0.3, 0.2, 0.35), (-0.1, -0.2, -0.05)])
    assert (
        said(found, "Which answers are weak?") == "Of 2 attributes 1 is clearly worse than always answering no: Name1."
    )
    assert "answers 2 yes-or-no questions about a drawn face (Name0 and Name1)" in found.lead
    assert "2,000 test images from 880 people, none of which it was trained with" in found.lead
    assert found.numbers[0] == ("70.0 %", "of its answers are right") and found.numbers[1][0] == "60.0 %"


def test_how_well_is_said_of_the_errors_that_it_avoids():
    assert of([(0.38, 0.37, 0.39)]).lead.endswith(
        "answers very well: it avoids 95 of 100 errors that always giving a question's usual answer would make."
    )
    assert said(of([(0.38, 0.37, 0.39)]), "How good is it?").endswith(
        "clearly better than always giving a question's usual answer (60.0 %)."
    )
    assert of([(0.02, 0.01, 0.03)]).lead.endswith("usual answer would make.")
    assert " answers poorly: it avoids 5 of 100 errors " in of([(0.02, 0.01, 0.03)]).lead
    unsure = of([(0.02, -0.01, 0.05)])
    assert unsure.lead.endswith("answers no better than the usual answer, as far as these images show.")
    assert "avoided" not in unsure.lead


def test_without_known_places_the_middle_of_the_picture_is_the_rival():
    found = of([(0.3, 0.2, 0.35)] * 3, faithfulness=faithfulness(SURE, WORSE, NONE))
    assert said(found, "Where does it look?") == (
        "Nobody has marked the right places in these pictures, so that nobody can say whether its map points at them. "
        "For 2 of the 3 attributes that could be judged, what the map marks does not matter clearly more than the "
        "middle of the picture: Name1 and Name2."
    )
    assert said(found, "Does the answer depend on what its map marks?") == (
        "Covering the 10 % of a picture that its map marks loses 80 of 100 right answers; as much at random loses 10, "
        "in the middle 30. As a guide to what decides, the map is all in all clearly better than random places and "
        "the middle; for Name1, taken alone, the middle matters clearly more."
    )
    assert "guessing gives 50 %" in found.numbers[2][1]
    (needs,) = [fact.text for fact in found.targets[1].facts if fact.title == "What it needs"]
    assert needs.endswith("by what it costs, clearly worse than the middle.")


def test_where_no_answer_is_wrong_there_is_no_error_to_show():
    flawless = Result({"exclusive": False, "head": "attributes", "wrong": 0, "answers": 4, "shown": []}, {})
    assert not any(target.errors for target in of([(0.3, 0.2, 0.35)], mistakes=flawless).targets)


def localisation(*pointing, over_the_blob=SURE):
    """Of attributes whose map points at the right place in such a share of the pictures, and a blob in 0.2."""
    k = len(pointing)
    spread = np.array([[[share, share - 0.05, share + 0.05], [0.2, 0.1, 0.3]] for share in pointing])
    measures = {"pointing": spread, "ratio": np.full((k, 2, 3), 3.0)}
    arrays = {
        "exact.area": np.ones(k),
        "exact.regions": np.ones((k, 4, 4), bool),
        "exact.images": np.zeros((k, 4, 4, 3), "u1"),
    }
    arrays |= {"exact.maps": np.ones((k, 2, 2, 2)), "exact.ids": np.array([f"{n}.jpg" for n in range(k)])}
    for name, numbers in measures.items():
        arrays |= {f"exact.{name}": numbers, f"exact.{name}.mean": numbers.mean(axis=0)}
        arrays[f"exact.{name}.difference"] = np.repeat(np.array([[over_the_blob]]), k, axis=0)
        arrays[f"exact.{name}.difference.mean"] = np.array([over_the_blob])
    maps = {"contributions": {"title": "contributions", "note": ""}}
    values = {"sets": ["exact"], "exact": {}, "maps": maps, "methods": ["contributions", "blob"]}
    return Result(values | {"attributes": [f"Name{n}" for n in range(k)]}, arrays)


def test_where_it_looks_is_said_beside_the_middle_and_how_the_right_place_is_known():
    found = of([(0.3, 0.2, 0.35)] * 2, localisation=localisation(0.9, 0.7))
    assert found.numbers[2] == ("80.0 %", "of its maps point at the right place (all 2 attributes measured)")
    looks = said(found, "Where does it look?")
    assert (
        "For all 2 attributes, its highest point is at the right place in 80.0 % (75.0 to 85.0) of the pictures"
        in looks
    )
    assert (
        "clearly better than always pointing at the middle (20 %); 3.0 times as much of the map as by chance" in looks
    )
    assert looks.endswith("The right place is known exactly: the pictures are drawn.")
    assert "Where the right place is known, the blue line is its edge." in found.pictures


def test_the_wrong_places_are_named_with_their_shares():
    question = "Where does it look at the wrong place?"
    best = of([(0.3, 0.2, 0.35)] * 2, localisation=localisation(0.9, 0.7))
    assert said(best, question) == (
        "For no attribute of 2 does its map point mostly at another place; it does so most for Name1, in 30 % "
        "(25 to 35) of the pictures."
    )
    beside = of([(0.3, 0.2, 0.35)] * 2, localisation=localisation(0.9, 0.3))
    assert said(beside, question) == ("Its map points mostly at another place for Name1 (in 70 % of the pictures).")
    middle = of([(0.3, 0.2, 0.35)] * 2, localisation=localisation(0.9, 0.7, over_the_blob=NONE))
    assert said(middle, question) == (
        "For Name0 and Name1 it is not clearly more often right than always pointing at the middle."
    )


def test_a_picture_is_one_that_was_rightly_answered():
    images = np.arange(2 * 8 * 8 * 3, dtype="u1").reshape(2, 8, 8, 3)
    arrays = {"images": images, "ids": np.array(["a.jpg", "b.jpg"]), "maps": np.full((3, 2, 2), 255, "u1")}
    arrays |= {"attribute": np.array([0, 0, 1]), "image": np.array([0, 1, 1]), "of_pair": np.zeros(3, bool)}
    found = of([(0.3, 0.2, 0.35)] * 2, mask_grids=Result({}, arrays | {"correct": np.array([False, True, False])}))
    first, second = (one.picture for one in found.targets)
    assert first.alternative.startswith("Name0 on b.jpg: the map highest at") and second is None
    assert "Where it says no picture, this page keeps no such image." in found.pictures


def test_an_answer_that_adds_nothing_is_not_to_be_trusted():
    doubt = said(of([(0.3, 0.2, 0.35), (0.01, -0.1, 0.2), (-0.1, -0.2, -0.05)]), "What not to trust it with?")
    assert doubt == (
        "Its answers about Name2 and Name1 (2 of 3), not clearly better than always saying the same; pictures unlike "
        "those of its training, which it answers without a warning."
    )


def classes(*recalls, right=(0.4, 0.3, 0.45)):
    """Of classes of ten images each, of which such a share is found; the rest is taken for the next one."""
    k, found = len(recalls), np.rint(10 * np.array(recalls)).astype(int)
    confusion = np.diag(found) + np.roll(np.diag(10 - found), 1, axis=1)
    shares = np.array([(share, share - 0.1, share + 0.1) for share in recalls])
    arrays = {f"attributes.{name}": shares for name in ("balanced_accuracy", "average_precision")}
    arrays |= {
        "attributes.top1.mean": right,
        "attributes.majority_top1.mean": (0.1, 0.05, 0.15),
        "confusion": confusion,
    }
    arrays |= {"attributes.gain.mean": (0.3, 0.2, 0.4), "attributes.balanced_accuracy.mean": right}
    values = {"attributes": [f"Name_{n}" for n in range(k)], "exclusive": True, "images": 10 * k, "groups": None}
    return Result(values | {"heads": ["attributes"]}, {name: np.array(numbers) for name, numbers in arrays.items()})


def test_classes_that_are_never_found_are_named_and_doubted():
    found = of([], accuracy=classes(0.0, 0.8, 0.0))
    assert found.lead.startswith("This classifier says which of 3 classes a picture shows (Name 0, Name 1 and Name 2).")
    assert said(found, "Which answers are weak?") == (
        "No image of Name 0 and Name 2 is found. The most frequent error is to take Name 0 for Name 1: 10 images, "
        "100 % of those of Name 0."
    )
    assert said(found, "What not to trust it with?").startswith(
        "A single answer: 60 of 100 are wrong; finding Name 0 and Name 2: no image of them was found; "
    )
    weak = said(of([], accuracy=classes(0.3, 0.8, 0.7)), "Which answers are weak?")
    assert weak.startswith("Name 0 is found in 30.0 % (20.0 to 40.0) of its images, the least. The most frequent")
    good = of([], accuracy=classes(0.9, 0.8, 0.7, right=(0.8, 0.7, 0.9)))
    assert "What not to trust it with?" not in {one.title for one in good.findings}


def robustness(noisy, clean=(0.9, 0.89, 0.91)):
    """Balanced accuracy without noise and with."""
    metrics = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
    values = {"exclusive": False, "metrics": metrics, "variants": [{"kind": "pair", "a": 1.0, "b": 1.0}]}
    values |= {
        "conditions": [["noise", 0.0], ["noise", 0.2]],
        "not_chosen": "none",
        "guess": {"balanced_accuracy": 0.5},
    }
    each = np.full((2, 1, 1), 0.6)
    arrays = {"balanced_accuracy": np.array([[clean], [noisy]]), "balanced_accuracy.per_attribute": each}
    return Result(values, arrays)


INSTEAD = "instead of 90.0 % (89.0 to 91.0) where the rare answer counts as much as the common one"


@pytest.mark.parametrize(
    ("noisy", "told"),
    [
        ((0.51, 0.49, 0.53), f"51.0 % (49.0 to 53.0) {INSTEAD}, not measurably different from guessing (50 %)"),
        ((0.52, 0.51, 0.53), f"52.0 % (51.0 to 53.0) {INSTEAD}, hardly more than guessing (50 %)"),
        ((0.8, 0.79, 0.81), f"80.0 % (79.0 to 81.0) {INSTEAD}, more than guessing (50 %)"),
        ((0.9, 0.88, 0.92), None),  # noise costs nothing: no doubt
    ],
)
def test_noise_is_a_doubt_where_it_costs(noisy, told):
    doubts = [one.text for one in of([(0.3, 0.2, 0.35)], robustness=robustness(noisy)).findings if "trust" in one.title]
    assert [told in one for one in doubts] == ([] if told is None else [True])


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        (
            (-0.02, -0.03, -0.011),
            "pictures labelled Male, whose balanced accuracy is lower than that of the others by 2.0 ",
        ),
        (
            (0.02, 0.011, 0.03),
            "pictures not labelled Male, whose balanced accuracy is lower than that of the others by ",
        ),
        ((0.02, -0.011, 0.03), None),
    ],
)
def test_a_group_is_a_doubt_where_it_is_answered_worse(difference, told):
    means = np.array([[(0.8,) * 3, (0.8,) * 3, difference]])
    arrays = {"balanced_accuracy.mean": means, "balanced_accuracy": means[:, None]}
    groups = Result({"subgroups": ["Male"]}, arrays)
    doubts = [one.text for one in of([(0.3, 0.2, 0.35)], subgroups=groups).findings if "trust" in one.title]
    assert [told[1:] in one and "2.0 points (1.1 to 3.0)" in one for one in doubts] == ([] if told is None else [True])


def test_what_was_not_measured_is_not_spoken_of():
    assert {one.title for one in of([(0.3, 0.2, 0.35)]).findings} == {"How good is it?", "Which answers are weak?"}
    assert "of other data than it was trained with" in of([(0.3, 0.2, 0.35)], other_data="elsewhere").lead
    assert opening(SimpleNamespace(results={})) is None
