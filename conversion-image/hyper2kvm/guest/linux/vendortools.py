"""Removal of the old hypervisor's guest tools: packages as data, tarball installations, and what refers to them."""

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Sequence

from hyper2kvm.guest.description import VendorTools
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.files import GuestFiles, first_existing
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import dpkg, fstab, mentions, services
from hyper2kvm.guest.linux.dpkg import Package
from hyper2kvm.guest.linux.fstab import FstabEntry
from hyper2kvm.guest.linux.modules import module_name
from hyper2kvm.guest.linux.vendors import DEAD_MODULES, DEAD_MOUNTS, MODULE_LISTS, VENDORS, Vendor

_FUSE = frozenset({"fuse", "fuse3"})
_MODULE_LINE = re.compile(r"\s*(?P<name>[A-Za-z0-9_-]+)")


def find(files: GuestFiles) -> tuple[VendorTools, ...]:
    """The guest tools of other hypervisors, by package or by the files of an installation without one."""
    packages = dpkg.installed(files)
    return tuple(tools for vendor in VENDORS for tools in _found(files, vendor, packages))


def _found(files: GuestFiles, vendor: Vendor, packages: Sequence[Package]) -> Iterator[VendorTools]:
    mine = _packages(vendor, packages)
    yield from (VendorTools(name=package.name, kind="package", evidence=package.name) for package in mine)
    evidence = first_existing(files, vendor.evidence)
    if evidence:
        yield VendorTools(name=vendor.name, kind="files", evidence=evidence)


def _packages(vendor: Vendor, packages: Sequence[Package]) -> list[Package]:
    return [package for package in packages if any(fnmatch.fnmatchcase(package.name, name) for name in vendor.packages)]


def _plan(draft: Draft, _: Situation) -> None:
    packages = dpkg.installed(draft)
    for vendor in VENDORS:
        mine = _packages(vendor, packages)
        needed_by = dpkg.dependents(packages, {package.name for package in mine})
        if needed_by:
            _switch_off(draft, mine, needed_by)
            continue
        installed = first_existing(draft, vendor.evidence) is not None
        if mine:
            _remove_packages(draft, vendor, mine)
        if installed:
            _remove_installation(draft, vendor)
        if mine or installed:
            mentions.switch_off_repositories(draft, vendor)
            mentions.remove_marked_lines(draft, vendor)
            mentions.silence_start_scripts(draft, vendor)
    _dead_mounts(draft)
    _dead_modules(draft)


def _switch_off(draft: Draft, mine: Sequence[Package], needed_by: Sequence[str]) -> None:
    names, others = ", ".join(package.name for package in mine), ", ".join(needed_by)
    listed = {path for package in mine for path in dpkg.paths(draft, package)}
    units = services.units(listed)
    reason = f"{names} serves the old hypervisor only; it stays installed because {others} needs it"
    services.disable(draft, units, reason)
    services.unlink_scripts(draft, services.scripts(listed), reason)
    services.mask(draft, (unit for unit in units if not unit.endswith(".target")), reason)
    draft.warn(
        "VendorToolsKept",
        f"{names} is switched off and not removed: {others} needs it",
        f"Remove {others} and {names} with apt in the running guest if they are not wanted.",
    )


def _remove_packages(draft: Draft, vendor: Vendor, mine: Sequence[Package]) -> None:
    names = ", ".join(package.name for package in mine)
    listed = {path for package in mine for path in dpkg.paths(draft, package)}
    reason = f"{names}: guest tools of the old hypervisor, which do nothing on the new one"
    services.disable(draft, services.units(listed), reason)
    services.unlink_scripts(draft, services.scripts(listed), reason)
    mentions.name_own_hooks(draft, vendor, listed)
    _remove_matches(draft, vendor.leftovers, reason)
    dpkg.remove_files(draft, listed, (*vendor.words, *(package.name for package in mine)), reason)
    dpkg.forget(draft, mine, reason)


def _remove_installation(draft: Draft, vendor: Vendor) -> None:
    reason = f"{vendor.name}: guest tools of the old hypervisor, which do nothing on the new one"
    names = {f"{unit}{suffix}" for unit in vendor.units for suffix in (".service", ".mount")}
    services.disable(draft, names, reason)
    services.unlink_scripts(draft, set(vendor.units), reason)
    mentions.name_own_hooks(draft, vendor, ())
    modules = (f"/lib/modules/*/{folder}/{name}.ko" for folder in ("misc", "updates") for name in vendor.modules)
    _remove_matches(draft, (*vendor.paths, *vendor.leftovers, *modules), reason)


def _remove_matches(draft: Draft, patterns: Sequence[str], reason: str) -> None:
    for pattern in patterns:
        for path in draft.glob(pattern):
            draft.remove(path, reason)


def _dead_mounts(draft: Draft) -> None:
    if not draft.is_file(fstab.PATH):
        return
    for entry in fstab.parse(draft.text(fstab.PATH)):
        if _served_by(entry) in DEAD_MOUNTS:
            lines = draft.text(fstab.PATH).split("\n")
            lines[entry.line - 1] = f"# {lines[entry.line - 1]}"
            reason = f"{entry.path} was a folder that the old hypervisor shared; mounting it would fail"
            draft.write(fstab.PATH, "\n".join(lines), reason)


def _served_by(entry: FstabEntry) -> str:
    """What serves an entry: its type, or the program of FUSE that its type or else its spec names (mount.fuse3(8))."""
    kind, _, program = entry.type.partition(".")
    if kind not in _FUSE:
        return entry.type
    return posixpath.basename(program or entry.spec.partition("#")[0])


def _dead_modules(draft: Draft) -> None:
    for path in dict.fromkeys(path for pattern in MODULE_LISTS for path in draft.glob(pattern)):
        if not draft.is_file(path):
            continue
        lines = draft.text(path).split("\n")
        dead = [index for index, line in enumerate(lines) if _is_dead(line)]
        for index in dead:
            lines[index] = f"# {lines[index]}"
        if dead:
            reason = "it loads drivers for devices that only the old hypervisor has"
            draft.write(path, "\n".join(lines), reason)


def _is_dead(line: str) -> bool:
    match = _MODULE_LINE.match(line)
    return match is not None and any(fnmatch.fnmatchcase(module_name(match["name"]), name) for name in DEAD_MODULES)


FIXER = Fixer("vendor tools", lambda situation: situation.options.remove_vendor_tools, _plan)
