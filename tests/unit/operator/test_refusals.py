"""What is read from the API server's refusals."""

import json

import pytest

from hyper2kvm_operator.kube.errors import refused

CAUSES = {
    "status.machine.memory": "Invalid value: 1",
    "status.machine.disks[0].capacity": "Invalid value: 2",
}


def answer(fields, **changes):
    causes = [{"reason": "FieldValueInvalid", "field": field, "message": CAUSES[field]} for field in fields]
    listed = ", ".join(f"{field}: {CAUSES[field]}" for field in fields)
    message = 'VirtualMachineMigration.hyper2kvm.io "a" is invalid: ' + (f"[{listed}]" if len(fields) > 1 else listed)
    told = {"kind": "Status", "reason": "Invalid", "message": message, "details": {"causes": causes}, "code": 422}
    return json.dumps(told | changes)


def test_causes_are_told_in_one_order():
    """The server tells them in another one each time, and a status that changes is looked at again."""
    one, other = (refused(422, answer(fields), "PATCH /a") for fields in (list(CAUSES), list(CAUSES)[::-1]))
    assert one == other
    assert one.message == (
        'VirtualMachineMigration.hyper2kvm.io "a" is invalid: status.machine.disks[0].capacity: Invalid value: 2; '
        "status.machine.memory: Invalid value: 1"
    )


def test_one_cause_is_told_in_the_servers_words():
    found = refused(422, answer(["status.machine.memory"]), "PATCH /a")
    assert found.message.endswith("is invalid: status.machine.memory: Invalid value: 1")


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"upstream is gone", "upstream is gone"), (None, ""), (answer([], details=None, message="no"), "no")],
)
def test_whatever_answers_is_a_refusal(body, message):
    assert refused(502, body, "GET /a").message == message
