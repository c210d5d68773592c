"""What is asked of every migration at once, in a form that thousands of them cost little in."""

from dataclasses import dataclass
from typing import Self

from hyper2kvm_operator.kube.client import KubeObject


@dataclass(frozen=True, slots=True)
class Overview:
    """A migration as others see it.

    Attributes:
        namespace, name, uid: its own.
        created: when, as Kubernetes writes it: earlier times are less.
        held: it neither takes a slot nor waits for one, whatever its phase: it is suspended, cancelled or going.
        phase: its phase; None before its first look.
        blocked: the reason for which it does not go on, if there is one.
        virtual_machine: name of the VirtualMachine that it has made or will make.
    """

    namespace: str
    name: str
    uid: str
    created: str
    held: bool
    phase: str | None
    blocked: str | None
    virtual_machine: str | None

    @classmethod
    def of(cls, migration: KubeObject) -> Self:
        """That of a VirtualMachineMigration."""
        metadata, spec, status = migration["metadata"], migration.get("spec", {}), migration.get("status", {})
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            created=metadata["creationTimestamp"],
            held=bool(spec.get("suspend") or spec.get("cancel")) or "deletionTimestamp" in metadata,
            phase=status.get("phase"),
            blocked=status.get("blocked", {}).get("reason"),
            virtual_machine=status.get("virtualMachineName"),
        )

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name
