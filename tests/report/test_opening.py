"""The first screen: sentences that follow from made-up results, and silence about what was not measured."""

from types import SimpleNamespace

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.report.opening import opening
from tests.report.test_accuracy_sections import result_of

SURE, NONE, WORSE = (1.0, 0.9, 1.1), (0.1, -0.5, 0.7), (-1.0, -1.1, -0.9)


def of(gains, other_data="", **results):
    analysis = SimpleNamespace(split="test")
    results = {"accuracy": result_of(gains)} | results
    return opening(SimpleNamespace(results=results, config=SimpleNamespace(analysis=analysis), other_data=other_data))


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
    assert "answers 2 yes-or-no questions about a picture (Name0 and Name1)" in found.lead
    assert "2,000 test images of 880 people, none of which it was trained with" in found.lead
    assert found.numbers[0] == ("70.0 %", "of its answers are right") and found.numbers[1][0] == "60.0 %"


def test_how_well_is_said_of_the_errors_that_it_avoids():
    assert of([(0.38, 0.37, 0.39)]).lead.endswith("answers very well.")
    assert "of 100 errors that this would make it avoids 95" in said(of([(0.38, 0.37, 0.39)]), "How good is it?")
    assert of([(0.02, 0.01, 0.03)]).lead.endswith("answers poorly.")
    unsure = of([(0.02, -0.01, 0.05)])
    assert unsure.lead.endswith("answers no better than the usual answer, as far as these images show.")
    assert "avoids" not in said(unsure, "How good is it?")


def test_without_known_places_the_middle_of_the_picture_is_the_rival():
    found = of([(0.3, 0.2, 0.35)] * 3, faithfulness=faithfulness(SURE, WORSE, NONE))
    wrong = said(found, "Where does it look at the wrong place?")
    assert wrong.startswith("For 2 of 3 the middle of the picture matters as much as what its map marks, or more: ")
    assert "Name1 and Name2" in wrong and "nobody has marked" in wrong
    assert "loses 80 of 100 right answers, at random 10, in the middle 30" in said(
        found, "Does the answer hang on that place?"
    )
    assert said(found, "Does the answer hang on that place?").endswith("; for Name1 the middle matters clearly more.")
    assert "guessing gives 50 %" in found.numbers[2][1]
    (needs,) = [fact.text for fact in found.targets[1].facts if fact.title == "What it needs"]
    assert needs.endswith("by what it costs, clearly worse than the middle.")


def test_where_no_answer_is_wrong_there_is_no_error_to_show():
    flawless = Result({"exclusive": False, "head": "attributes", "wrong": 0, "answers": 4, "shown": []}, {})
    assert not any(target.errors for target in of([(0.3, 0.2, 0.35)], mistakes=flawless).targets)


def test_what_was_not_measured_is_not_spoken_of():
    assert {one.title for one in of([(0.3, 0.2, 0.35)]).findings} == {"How good is it?", "Which answers are weak?"}
    assert "of other data than it was trained with" in of([(0.3, 0.2, 0.35)], other_data="elsewhere").lead
    assert opening(SimpleNamespace(results={})) is None
