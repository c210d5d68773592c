import json

from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm_api.errors import ValidationError
from hyper2kvm_api.migration import BootStatus, Failure
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import MAX_BYTES, DiskResult, Outcome, Result, failure_of
from hyper2kvm_api.stage import Stage


def test_a_result_fits_a_termination_message_whatever_it_holds():
    result = Result(
        outcome=Outcome.FAILED,
        failure=failure_of(ValidationError(Reason.BOOT_FAILED, "m" * 5000, hint="look")),
        disks=tuple(DiskResult(id=f"scsi0:{n}", capacity=1 << 40, digest="sha256-1MiB:" + "0" * 64) for n in range(64)),
        warnings=tuple(f"Warned: {n} ünïcode" for n in range(500)),
    )
    text = result.fitted()
    assert len(text.encode()) <= MAX_BYTES
    short = Result.model_validate_json(text)
    assert short.failure is not None
    assert (short.failure.reason, short.failure.hint) == ("BootFailed", "look")
    assert short.failure.message.startswith("mmm")
    assert short.disks


def test_a_small_result_is_whole():
    result = Result(outcome=Outcome.SUCCEEDED, warnings=("a",))
    assert Result.model_validate_json(result.fitted()) == result


TEXTS = st.text(st.sampled_from('aü\u2028\N{GRINNING FACE}"\\\x00\n'), max_size=40)


def long(limit):
    """Texts up to a limit: short ones, many times over."""
    return st.builds(lambda text, times: (text * times)[:limit], TEXTS, st.integers(1, limit))


FAILURES = st.builds(
    Failure,
    reason=st.sampled_from([str(reason) for reason in Reason]),
    message=long(4096),
    hint=st.none() | long(4096),
    stage=st.none() | st.sampled_from([str(stage) for stage in Stage]),
    disk=st.none() | long(64),
    file=st.none() | long(4096),
)
RESULTS = st.builds(
    Result,
    outcome=st.sampled_from(Outcome),
    failure=FAILURES,
    retry=st.booleans(),
    disks=st.lists(st.builds(DiskResult, id=long(64), capacity=st.integers(0, 2**62), digest=long(128)), max_size=64),
    boot=st.none() | st.builds(BootStatus, verdict=long(64), evidence=long(64), seconds=st.floats(0, 1e6)),
    warnings=st.lists(long(2000), max_size=20),
)


@given(RESULTS, st.integers(1024, MAX_BYTES))
def test_a_result_keeps_its_bound_its_reason_and_its_stage_whatever_it_holds(result, limit):
    text = result.fitted(limit)
    assert len(text.encode()) <= limit
    assert "\n" not in text
    short = Result.model_validate(json.loads(text))
    assert (short.outcome, short.retry) == (result.outcome, result.retry)
    assert (short.failure.reason, short.failure.stage) == (result.failure.reason, result.failure.stage)


def test_the_texts_of_a_failure_are_what_a_status_can_hold():
    error = ValidationError(Reason.BOOT_FAILED, "m" * 9000, hint="h" * 9000, disk="d" * 900, file="f" * 9000)
    failure = failure_of(error)
    assert [len(text) for text in (failure.message, failure.hint, failure.disk, failure.file)] == [4000, 4000, 64, 4000]
