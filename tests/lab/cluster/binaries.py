"""The programs that are built from Go modules: what, from where, how; cached by what they are made from."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.run import run
from lab.cluster.digest import digest, digest_tree
from lab.cluster.layout import CACHE
from lab.cluster.lock import PROGRAMS, alone
from lab.cluster.progress import run_long, say
from lab.cluster.toolchain import GO_CACHE, ensure_go, environment

MODULE = Path(__file__).parent / "go"
"""One module for all: libraries have one version, and what the groups have in common is compiled once."""

_SOURCES = GO_CACHE / "module"
"""That module with what it needs of all others, where it is built."""

_UNWANTED = (
    "github.com/openshift/library-go/pkg/operator/v1helpers/test_helpers.go",
    "k8s.io/apiserver/pkg/admission/plugin/policy/generic/policy_test_context.go",
    "k8s.io/kubernetes/pkg/scheduler/backend/queue/testing.go",
    "kubevirt.io/client-go/kubecli/generated_mock_kubevirt.go",
    "kubevirt.io/client-go/kubecli/kubevirt_test_utils.go",
)
"""What only their own tests use. It would bring sixty packages of fakes, and an API group that Kubernetes has dropped."""

KUBERNETES_VERSION = "v1.34.4"
CDI_VERSION = "v1.65.0"
KUBEVIRT_VERSION = "v1.7.0"
HELM_VERSION = "v4.0.5"
"""Of the line that is made with the libraries of this very Kubernetes: they are compiled once for both."""


_RENDERED = ("helm.sh/helm/v4/pkg/chart/common", "helm.sh/helm/v4/pkg/chart/v2/lint/rules")
_KUBERNETES = "k8s.io/kubernetes/cmd/"
_CDI = "kubevirt.io/containerized-data-importer/"
_KUBEVIRT = "kubevirt.io/kubevirt/"


@dataclass(frozen=True)
class Group:
    """Programs that are built together.

    Attributes:
        name: what the cache calls it.
        packages: Go packages; a program is named after the last part of its package.
        variables: linker's -X settings: versions that the programs report, and that their peers compare.
        tags: build tags.
        cgo: whether C is linked in.
        sources: files of the module that are wanted beside the programs, as paths inside the module.
        source_module: the module that `sources` are paths of.
    """

    name: str
    packages: tuple[str, ...]
    variables: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cgo: bool = False
    sources: tuple[str, ...] = ()
    source_module: str = ""

    @property
    def digest(self) -> str:
        """Digest of the module's files and of this description."""
        return digest(repr(self), repr(_UNWANTED), digest_tree(MODULE))

    @property
    def folder(self) -> Path:
        """Where the programs lie once they are built; `sources` are beside them in `sources/`."""
        return CACHE / "cluster" / "bin" / f"{self.name}-{self.digest}"

    def program(self, name: str) -> Path:
        """Path of one of its programs."""
        return self.folder / name

    def source(self, name: str) -> Path:
        """Path of one of its source files, by its last part."""
        return self.folder / "sources" / name


KUBERNETES = Group(
    "kubernetes",
    packages=(
        *(
            _KUBERNETES + command
            for command in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        ),
        "./coredns",
        "./pause",
        "helm.sh/helm/v4/cmd/helm",
        "gopkg.in/k8snetworkplumbingwg/multus-cni.v4/cmd/multus",
    ),
    variables=(
        f"k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=34",
        f"helm.sh/helm/v4/internal/version.version={HELM_VERSION}",
        # What a chart is rendered for where no cluster is asked.
        *(f"{package}.{name}" for package in _RENDERED for name in ("k8sVersionMajor=1", "k8sVersionMinor=34")),
    ),
)
"""The node's programs, and those that work on the cluster from outside."""

CDI = Group(
    "cdi",
    packages=(
        *(
            _CDI + "cmd/" + command
            for command in (
                "cdi-operator",
                "cdi-controller",
                "cdi-apiserver",
                "cdi-importer",
                "cdi-cloner",
                "cdi-uploadproxy",
                "cdi-uploadserver",
            )
        ),
        _CDI + "tools/cdi-containerimage-server",
        _CDI + "tools/manifest-generator",
    ),
    sources=("cmd/cdi-cloner/cloner_startup.sh",),
    source_module="kubevirt.io/containerized-data-importer",
)

KUBEVIRT = Group(
    "kubevirt",
    packages=(
        *(
            _KUBEVIRT + "cmd/" + command
            for command in (
                "virt-operator",
                "virt-api",
                "virt-controller",
                "virt-handler",
                "virt-launcher",
                "virt-launcher-monitor",
                "virt-probe",
                "virt-tail",
                "virt-freezer",
            )
        ),
        _KUBEVIRT + "tools/resource-generator",
    ),
    variables=(f"kubevirt.io/client-go/version.gitVersion={KUBEVIRT_VERSION}",),
    # Go's own resolver and user database, which the others have for want of C: the same packages then.
    tags=("libvirt_dlopen", "netgo", "osusergo"),
    cgo=True,
    sources=tuple(
        "cmd/virt-launcher/" + name
        for name in ("qemu.conf", "virtqemud.conf", "qemu", "node-labeller/node-labeller.sh")
    ),
    source_module="kubevirt.io/kubevirt",
)

VIRT_CHROOT = Group("virt-chroot", packages=(_KUBEVIRT + "cmd/virt-chroot",))
"""Runs inside other mount namespaces, where no C library may be found: linked without one."""

_WITHOUT_DWARF = "-gcflags=all=-dwarf=false"
"""Nobody debugs the programs here, and what a debugger would want is a twentieth of the compiler's time."""


def ensure_built(*groups: Group) -> None:
    """Build what is not cached. What Go keeps of a build goes with it: it would be gigabytes.

    Raises:
        HostError: ProgramFailed with the compiler's last lines; ProgramMissing.
    """
    if all(group.folder.exists() for group in groups):
        return
    with alone(PROGRAMS, "whoever else builds programs"):
        missing = [group for group in groups if not group.folder.exists()]  # another may have built them by now
        if missing:
            go = ensure_go()
            with ThreadPoolExecutor(1) as beside:  # the network is waited for, and leaves processors idle
                modules = beside.submit(_fetch_modules, go)
                _compile_standard(go)
            modules.result()
            for group in missing:
                _build(go, group)
        say("dropping Go's modules, which only builds need")
        shutil.rmtree(GO_CACHE, ignore_errors=True)


def build_command(go: Path, group: Group, output: Path) -> list[str]:
    """The one call that builds a group. Half of the machine's time is left to others: nice."""
    linker = " ".join(["-s", "-w", *(f"-X {variable}" for variable in group.variables)])
    return [
        "nice",
        str(go),
        *("-C", str(_SOURCES)),
        *("build", "-v", "-mod=vendor"),
        _WITHOUT_DWARF,
        *("-tags", ",".join(group.tags)),
        *("-ldflags", linker),
        *("-o", f"{output}/"),
        *group.packages,
    ]


def _build(go: Path, group: Group) -> None:
    folder = group.folder
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    cgo = {"CGO_ENABLED": "1" if group.cgo else "0"}
    run_long(
        build_command(go, group, unfinished),
        what=f"building {group.name} ({len(group.packages)} programs)",
        log=folder.with_suffix(".log"),
        deadline=2400,
        environment={**environment(), **cgo},
    )
    _keep_sources(go, group, unfinished / "sources")
    for other in folder.parent.glob(f"{group.name}-????????????*"):
        if other.is_dir() and other != unfinished:  # older versions, and what a killed process left
            shutil.rmtree(other)
    unfinished.rename(folder)


def _fetch_modules(go: Path) -> None:
    """Lay out _SOURCES (`go mod vendor`), without _UNWANTED."""
    shutil.rmtree(_SOURCES, ignore_errors=True)
    shutil.copytree(MODULE, _SOURCES)
    run_long(
        # -e: one of the unwanted files has an import that is not there. What else is missing, the build tells.
        [str(go), "-C", str(_SOURCES), "mod", "vendor", "-e"],
        what="fetching Go modules",
        log=GO_CACHE / "modules.log",
        deadline=1200,
        environment=environment(),
    )
    for name in _UNWANTED:
        (_SOURCES / "vendor" / name).unlink()


def _compile_standard(go: Path) -> None:
    """Compile Go's own packages, which every group has."""
    run_long(
        ["nice", str(go), "build", "-v", _WITHOUT_DWARF, "std"],
        what="building Go's own packages",
        log=GO_CACHE / "standard.log",
        deadline=1200,
        environment={**environment(), "CGO_ENABLED": "0"},
    )


def _keep_sources(go: Path, group: Group, folder: Path) -> None:
    if not group.sources:
        return
    folder.mkdir()
    listed = run(
        [str(go), "-C", str(MODULE), "list", "-m", "-json", group.source_module],
        deadline=300,
        environment=environment(),
    )
    module = Path(json.loads(listed.stdout)["Dir"])
    for source in group.sources:
        shutil.copyfile(module / source, folder / Path(source).name)
