"""The tree of errors. Each carries a stable reason (reasons.py), a message and a hint that says what to do."""

from collections.abc import Mapping
from typing import ClassVar

from hyper2kvm_api.reasons import REASONS, Category, Reason
from hyper2kvm_api.stage import Stage


class Hyper2kvmError(Exception):
    """An error that a user can act on.

    Attributes:
        reason: stable CamelCase name; it becomes a condition's reason and selects the exit code.
        message: what happened, naming the file, disk or field.
        hint: what to do next; the reason's remedy unless a better one is known where it is raised.
        disk: id of the disk concerned, or None.
        file: path inside the guest or the source, or None.
        stage: the stage of the pipeline that it ended, or None; the pipeline sets it.
    """

    category: ClassVar[Category]

    def __init__(
        self, reason: Reason, message: str, *, hint: str | None = None, disk: str | None = None, file: str | None = None
    ) -> None:
        if REASONS[reason].category is not self.category:
            raise TypeError(f"{reason} is not a reason of {type(self).__name__}")
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint or REASONS[reason].remedy
        self.disk = disk
        self.file = file
        self.stage: Stage | None = None

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this error."""
        return self.category.exit_code


class UnexpectedError(Hyper2kvmError):
    """A defect: an exception that no code expects."""

    category = Category.UNEXPECTED


class SpecError(Hyper2kvmError):
    """The manifest or a command line is wrong. Retrying without a change does not help."""

    category = Category.SPEC


class SourceError(Hyper2kvmError):
    """The source cannot be read, or what it says of itself is wrong."""

    category = Category.SOURCE


class ImageError(Hyper2kvmError):
    """A disk image is damaged, incomplete or unsafe to open."""

    category = Category.IMAGE


class GuestError(Hyper2kvmError):
    """What is inside the disks cannot be handled."""

    category = Category.GUEST


class TargetError(Hyper2kvmError):
    """The target cannot be written."""

    category = Category.TARGET


class ValidationError(Hyper2kvmError):
    """The target was written and did not stand the test."""

    category = Category.VALIDATION


class HostError(Hyper2kvmError):
    """This machine lacks a program, a permission or a resource."""

    category = Category.HOST


class BusyError(Hyper2kvmError):
    """Another run holds the workspace."""

    category = Category.BUSY


class ClusterError(Hyper2kvmError):
    """The cluster lacks something, or something in it is in the way."""

    category = Category.CLUSTER


CLASSES: Mapping[Category, type[Hyper2kvmError]] = {kind.category: kind for kind in Hyper2kvmError.__subclasses__()}
"""The class of the errors of each category."""
