"""Debian's packages that the cluster is made of, and their installation where they are missing."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster.layout import CACHE
from lab.cluster.progress import run_long, say

PACKAGES = {
    "etcd-server": "the API server's store",
    "containerd": "runs the containers",
    "runc": "starts them",
    "containernetworking-plugins": "gives pods their network: ptp, host-local, portmap",
    "iptables": "kube-proxy's Services",
    "conntrack": "kube-proxy forgets connections of ended pods with it",
    "iproute2": "the veth pair into the cluster",
    "procps": "sysctl, for the node's network",
    "e2fsprogs": "file systems of the volumes",
    "mount": "losetup, for the volumes",
    "openssl": "keys and certificates",
    "mmdebstrap": "Debian as the images' base",
    "buildah": "builds the project's own Containerfiles",
    "ca-certificates": "verifies the Go module proxy and Debian's mirrors",
    "gcc": "virt-launcher and virt-handler link libvirt at run time through cgo",
    "libc6-dev": "as gcc",
}
"""Package → what it is for."""

SERVICES = {"etcd-server": "etcd", "containerd": "containerd", "prometheus": "prometheus"}
"""Package → the service that it would start now and at every boot. The cluster starts its own."""

_POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's packages before they start a service (invoke-rc.d(8)); exit code 101 forbids it."""

_FORBIDDEN = "#!/bin/sh\n# Of hyper2kvm's lab, while it installs packages.\nexit 101\n"
"""By which a policy is known that a killed installation has left behind."""

_SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd runs (sd_booted(3))."""

_INSTALL = ("--no-remove", "--no-install-recommends")
"""Nothing that the machine has is given up: Docker's containerd.io, for one, would go for containerd."""

_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
_WAITING = ("-o", "DPkg::Lock::Timeout=300")
"""A machine that has just started installs its own updates for a while (apt-daily-upgrade.service)."""


def missing(packages: Iterable[str]) -> list[str]:
    """Those of the packages that are not installed."""
    wanted = list(packages)
    listed = run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted], deadline=30, check=False
    )
    installed = {line.split()[0] for line in listed.text.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


def ensure_packages() -> None:
    """Install what is missing of the table.

    Raises:
        HostError: as `install`.
    """
    lacking = missing(PACKAGES)
    if lacking:
        say(f"missing here: {', '.join(f'{package} ({PACKAGES[package]})' for package in lacking)}")
        install(lacking)


def install(packages: Sequence[str]) -> None:
    """Install packages. Their services are not started, now or later; those of other packages are left alone.

    Raises:
        HostError: ProgramMissing when this is not root; ProgramFailed, as when another package is in the way.
    """
    if os.geteuid() != 0:
        raise HostError(
            Reason.PROGRAM_MISSING,
            f"these packages are not installed: {' '.join(packages)}",
            hint=f"As root: apt-get install {' '.join((*_INSTALL, *packages))}",
        )
    log = CACHE / "cluster" / "apt.log"
    with _services_stay_down():
        # apt refuses to work where an installation was killed half-way. It says so itself where this does not help.
        with suppress(HostError):
            resume = ["dpkg", "--configure", "-a"]
            run_long(resume, what=" ".join(resume), log=log, deadline=300, environment=_QUIET)
        run_long(["apt-get", "update"], what="apt-get update", log=log, deadline=300)
        run_long(
            ["apt-get", "install", "--yes", *_WAITING, *_INSTALL, *packages],
            what=f"apt-get install {' '.join(packages)}",
            log=log,
            deadline=1200,
            environment=_QUIET,
            hint="Nothing was removed. See what is in the way with `apt-get install --simulate` and the same packages.",
        )
    services = [SERVICES[package] for package in packages if package in SERVICES]
    if services and _SYSTEMD.exists():
        run(["systemctl", "disable", "--quiet", *services], deadline=60)


@contextmanager
def _services_stay_down() -> Iterator[None]:
    if _POLICY.exists() and _POLICY.read_text(errors="replace") != _FORBIDDEN:
        yield
        return
    _POLICY.write_text(_FORBIDDEN)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
