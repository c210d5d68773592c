from hyper2kvm_api.errors import ValidationError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import MAX_BYTES, DiskResult, Outcome, Result, failure_of


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


def test_a_small_result_is_whole():
    result = Result(outcome=Outcome.SUCCEEDED, warnings=("a",))
    assert Result.model_validate_json(result.fitted()) == result
