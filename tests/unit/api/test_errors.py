import inspect

import pytest

from hyper2kvm_api import errors
from hyper2kvm_api.reasons import REASONS, Category, Reason

CLASSES = [
    c
    for c in vars(errors).values()
    if inspect.isclass(c) and issubclass(c, errors.Hyper2kvmError) and "category" in vars(c)
]


def test_every_reason_has_a_cause_and_a_remedy():
    assert set(REASONS) == set(Reason)
    assert all(text.cause.endswith(".") and text.remedy.endswith(".") for text in REASONS.values())


def test_every_category_has_one_class_of_errors():
    assert sorted(c.category.value for c in CLASSES) == sorted(category.value for category in Category)


def test_an_error_cannot_take_a_reason_of_another_kind():
    with pytest.raises(TypeError, match="TargetFull is not a reason of SpecError"):
        errors.SpecError(Reason.TARGET_FULL, "x")


def test_an_error_has_its_reasons_remedy_as_hint():
    error = errors.TargetError(Reason.TARGET_FULL, "no space left on /out")
    assert error.hint == REASONS[Reason.TARGET_FULL].remedy
    assert error.exit_code == 6
