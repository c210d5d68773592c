"""What refers to the old hypervisor's guest tools in files that others wrote."""

import fnmatch
import posixpath
import re
from collections.abc import Collection

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import aptsources
from hyper2kvm.guest.linux.vendors import MARKED, START_SCRIPTS, Vendor

_COMPOUND = re.compile(r"[;|&{}()\\]|(?<!\S)(?:if|then|elif|else|fi|for|while|until|do|done|case|esac|function)(?!\S)")
"""What makes a line of a shell script more than one plain command."""

_SILENT = re.compile(r"[ \t]*(?::[ \t]+)?#")
"""What begins a line that does nothing."""


def switch_off_repositories(draft: Draft, vendor: Vendor) -> None:
    """Switch off package repositories that hold nothing but the tools."""
    for pattern in aptsources.PATTERNS if vendor.repositories else ():
        for path in draft.glob(pattern):
            if draft.is_file(path):
                after = aptsources.without(path, draft.read(path), vendor.repositories)
                draft.write(path, after, f"it names a repository that holds {vendor.name} and nothing else")


def remove_marked_lines(draft: Draft, vendor: Vendor) -> None:
    """Remove the lines that an installer has added to files of others."""
    if vendor.marks is None:
        return
    begin, end = map(re.escape, vendor.marks)
    block = re.compile(rf"^{begin}.*?^{end}[^\n]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
    for path in (path for pattern in MARKED for path in draft.glob(pattern)):
        if draft.is_file(path):
            draft.write(path, block.sub("", draft.text(path)), f"the installer of {vendor.name} has added lines to it")


def silence_start_scripts(draft: Draft, vendor: Vendor) -> None:
    """Replace plain commands of start scripts that start the tools by ones that do nothing; tell of others."""
    if not vendor.commands:
        return
    words = "|".join(map(re.escape, sorted(vendor.commands, reverse=True)))
    command = re.compile(rf"(?<![\w.-])(?:{words})(?![\w-])")
    for path in filter(draft.is_file, START_SCRIPTS):
        lines = draft.text(path).split("\n")
        for index, line in enumerate(lines):
            if not command.search(line) or _SILENT.match(line):
                continue
            if _COMPOUND.search(line) or (index and lines[index - 1].endswith("\\")):
                _tell(draft, vendor, path, index + 1)
            else:
                lines[index] = _silenced(line)
        draft.write(path, "\n".join(lines), f"it starts {vendor.name} at each boot, which would fail")


def name_own_hooks(draft: Draft, vendor: Vendor, listed: Collection[str]) -> None:
    """Tell by name which files in the tools' folder for users' scripts will go with it.

    Args:
        draft: the guest's files before the folder is removed.
        vendor: whose folder.
        listed: paths that packages put there.
    """
    found = _below(draft, vendor.hooks) if vendor.hooks and draft.is_folder(vendor.hooks) else []
    own = [path for path in found if path not in listed and not _is_shipped(path, vendor)]
    if own:
        draft.warn(
            "OwnScriptsRemoved",
            f"{vendor.hooks} goes with {vendor.name}, and with it what somebody has added: {', '.join(own)}",
            "If what they do at power-on, suspend or resume is still wanted, copy them from the source guest and call them "
            "from units of systemd.",
        )


def _silenced(line: str) -> str:
    """A line that does nothing and stays a command: a shell refuses branches and loops that hold comments alone."""
    command = line.lstrip()
    return f"{line.removesuffix(command)}: # {command}"


def _is_shipped(path: str, vendor: Vendor) -> bool:
    below = path.removeprefix(f"{vendor.hooks}/")
    return any(fnmatch.fnmatchcase(below, pattern) for pattern in vendor.shipped)


def _below(draft: Draft, folder: str) -> list[str]:
    paths = [posixpath.join(folder, name) for name in draft.list(folder)]
    return [each for path in paths for each in (_below(draft, path) if draft.is_folder(path) else [path])]


def _tell(draft: Draft, vendor: Vendor, path: str, number: int) -> None:
    draft.warn(
        "VendorToolsMentioned",
        f"{path} line {number} refers to {vendor.name}, which is gone, in a command that is more than a plain one",
        f"Take it out of {path} in the guest.",
    )
