"""Scalars of the API: memory and disk quantities, durations, MAC addresses, object names."""

import re
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

_SOME = r"0*[1-9][0-9]*"  # regular expressions of Go and Rust have no look-ahead
_UNIT = r"(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?"
QUANTITY_PATTERN = rf"^({_SOME}(\.[0-9]+)?|0+\.{_SOME}){_UNIT}$"
DURATION_PATTERN = rf"^({_SOME}h([0-9]+m)?([0-9]+s)?|([0-9]+h)?{_SOME}m([0-9]+s)?|([0-9]+h)?([0-9]+m)?{_SOME}s)$"
AMOUNT_PATTERN = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|m|k|M|G|T|P)?$"
MAC_PATTERN = r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
PLACED_NAME_PATTERN = rf"^({LABEL_PATTERN[1:-1]}/)?{NAME_PATTERN[1:]}"
REMARK_LENGTH = 1024
"""Characters of one remark for a user."""

Quantity = Annotated[str, StringConstraints(pattern=QUANTITY_PATTERN, max_length=32)]
"""A number of bytes that is not zero, in Kubernetes' notation, such as `512Mi` or `40G`."""

ResourceAmount = Annotated[str, StringConstraints(pattern=AMOUNT_PATTERN, max_length=32)]
"""An amount of a pod's resource in Kubernetes' notation; of CPUs also in thousandths, such as `250m`."""

Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN, min_length=2, max_length=32)]
"""A span of time that is not zero, such as `90s`, `10m` or `1h30m`."""

MacAddress = Annotated[str, StringConstraints(pattern=MAC_PATTERN)]
"""An Ethernet address, six octets in hexadecimal with colons."""

ObjectName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=253)]
"""The name of a Kubernetes object (RFC 1123 subdomain)."""

PlacedName = Annotated[str, StringConstraints(pattern=PLACED_NAME_PATTERN, min_length=1, max_length=63 + 1 + 253)]
"""The name of a Kubernetes object, as `name` or `namespace/name`."""

DnsLabel = Annotated[str, StringConstraints(pattern=LABEL_PATTERN, min_length=1, max_length=63)]
"""A name that is a host name too (RFC 1123 label): no dots."""

Remark = Annotated[
    str,
    BeforeValidator(lambda text: cut(text, REMARK_LENGTH) if isinstance(text, str) else text),
    StringConstraints(max_length=REMARK_LENGTH),
]
"""A sentence for a user. It may quote a source or a guest: what is too long is cut, as it must not fail a status."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hexadecimal."""

_FACTORS: dict[str, int] = {
    "": 1,
    **{unit + "i": 1024**power for power, unit in enumerate("KMGTP", 1)},
    **{unit: 1000**power for power, unit in enumerate("kMGTP", 1)},
}
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def cut(text: str, limit: int) -> str:
    """A text of at most `limit` characters (1 or more), with an ellipsis for what is left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quantity_bytes(text: str) -> int:
    """The bytes that a quantity stands for, rounded up.

    Raises:
        ValueError: the text is not a quantity.
    """
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?", text)
    if match is None:
        raise ValueError(f"not a quantity: {text!r}")
    whole, fraction, unit = match[1], match[2] or "", match[3] or ""
    scaled = int(whole + fraction) * _FACTORS[unit]
    places: int = 10 ** len(fraction)
    return -(-scaled // places)


def duration_seconds(text: str) -> int:
    """The seconds that a duration stands for.

    Raises:
        ValueError: the text is not a duration.
    """
    if re.fullmatch(r"(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?", text) is None:
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", text))
