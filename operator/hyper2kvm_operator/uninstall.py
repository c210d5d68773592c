"""`python -m hyper2kvm_operator.uninstall [NAMESPACE…]`: whether the definitions of the migrations may go.

The chart's hook runs it before an uninstallation that removes them (`crds.keep: false`). A migration that is not over
holds a finalizer, which only the operator takes off: without it the migration, and with it the definitions, would stay
in their deletion for ever.
"""

import sys
from collections.abc import Sequence

from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.apply import FINALIZER

_SHOWN = 20


def main(namespaces: Sequence[str], client: KubeClient) -> int:
    """Say what is in the way, in these namespaces or in all; the exit code is 0 when nothing is."""
    try:
        held = holding(client, namespaces)
    except (RefusedError, UnreachableError) as error:
        print(f"The migrations could not be listed: {error}")  # noqa: T201 -- the pod's log is the answer
        return 1
    if not held:
        return 0
    more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    print(  # noqa: T201 -- as above
        f"These migrations are not over: {', '.join(held[:_SHOWN])}{more}.\n"
        "Let them end, or delete them with kubectl while the operator runs; then uninstall again.\n"
        "With crds.keep=true an uninstallation leaves them as they are."
    )
    return 1


def holding(client: KubeClient, namespaces: Sequence[str]) -> list[str]:
    """The migrations that hold the operator's finalizer, as `namespace/name`.

    Raises:
        RefusedError, UnreachableError: of the API server.
    """
    asked: Sequence[str | None] = namespaces or [None]
    found = [one for name in asked for one in client.list(Resources.MIGRATION.value, name)]
    held = [one["metadata"] for one in found if FINALIZER in one["metadata"].get("finalizers", [])]
    return sorted(f"{metadata['namespace']}/{metadata['name']}" for metadata in held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], KubeClient()))
