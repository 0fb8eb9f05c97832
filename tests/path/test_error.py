from hamster.path.error import NotInViewError, PlanError


def test_an_error_prints_its_reason_alone_whatever_the_model_printed():
    for kind in (PlanError, NotInViewError):
        error = kind("expected <ans>", "gibberish")
        assert str(error) == error.reason == "expected <ans>" and error.raw_text == "gibberish"
        assert str(kind("expected <ans>")) == "expected <ans>" and kind("expected <ans>").raw_text == ""
