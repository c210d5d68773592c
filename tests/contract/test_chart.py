"""The parts of the chart fit together, and who follows its notes gets there. Helm renders it, and no cluster is needed.

Helm and kubectl are built with the cluster's programs: hence the mark.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.manifest import parse
from hyper2kvm_api.migration import VirtualMachineMigration
from hyper2kvm_api.resolve import effective_spec
from hyper2kvm_operator.build.metadata import MigrationKey
from lab import product
from lab.chart import EVERYTHING, Release, helm, render
from lab.cluster.binaries import KUBERNETES, ensure_built
from lab.cluster.kubectl import NOBODY, Kubectl
from lab.documentation import Page
from lab.scenario.objects import Json

pytestmark = pytest.mark.cluster

PORT = 9090
ALL = (*EVERYTHING, f"operator.port={PORT}", "crds.keep=false")
"""With the Job that an uninstallation waits for; with a port that no template can know."""

NAMES = ("h2k", "hyper2kvm", "n" * 53)
"""Of releases: objects' names are made of them in three ways. Helm allows no longer one."""

DNS = {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}
"""Network plugins see the ports of pods: OpenShift's DNS listens on 5353."""


def test_lint_finds_nothing():
    assert "0 chart(s) failed" in helm("lint", "--strict", str(product.CHART))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("operatr.workers=1", "'operatr' not allowed"),
        ("kvm=Sometimes", "kvm"),
        ("maxConcurrent=0", "maxConcurrent"),
        ("operator.workers=many", "workers"),
    ],
)
def test_a_wrong_value_is_refused(setting, words):
    with pytest.raises(HostError) as caught:
        render(setting)
    assert words in caught.value.message


@pytest.fixture(scope="module", params=NAMES, ids=lambda name: name[:9])
def release(request: pytest.FixtureRequest) -> Release:
    """A release with all that is optional."""
    return render(*ALL, name=request.param, namespace="there")


@pytest.fixture(scope="module")
def another() -> Release:
    """Another release in the same namespace."""
    return render(*ALL, name="another", namespace="there")


def container(release: Release) -> Json:
    (found,) = release.one("Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def selects(selector: Json, labels: dict[str, str]) -> bool:
    """Whether a label selector is met. An empty one would be met by everything: no part of the chart may have one."""
    assert set(selector) == {"matchLabels"}
    assert selector["matchLabels"]
    return selector["matchLabels"].items() <= labels.items()


SELECTORS = {
    "Deployment": lambda spec: spec["selector"],
    "Service": lambda spec: {"matchLabels": spec["selector"]},
    "NetworkPolicy": lambda spec: spec["podSelector"],
    "PodDisruptionBudget": lambda spec: spec["selector"],
}


@pytest.mark.parametrize("kind", SELECTORS)
def test_a_selector_finds_the_operators_pods_and_no_others(release, another, kind):
    """Others in its namespace: of an uninstallation, of migrations, of another release."""
    selector = SELECTORS[kind](release.one(kind)["spec"])
    assert selects(selector, pod_labels(release.one("Deployment")))
    others = [
        pod_labels(another.one("Deployment")),
        pod_labels(release.one("Job")),
        MigrationKey("there", "web01", "uid").labels,
    ]
    assert [labels for labels in others if selects(selector, labels)] == []


def pod_labels(workload: Json) -> dict[str, str]:
    return workload["spec"]["template"]["metadata"]["labels"]


def test_prometheus_is_led_to_the_port_that_the_operator_serves(release):
    monitor, service = release.one("ServiceMonitor"), release.one("Service")
    assert selects(monitor["spec"]["selector"], service["metadata"]["labels"])
    # Without a namespaceSelector it is the monitor's own namespace that Services are looked for in.
    namespaces = monitor["spec"].get("namespaceSelector", {"matchNames": [monitor["metadata"]["namespace"]]})
    assert namespaces == {"matchNames": [service["metadata"]["namespace"]]} == {"matchNames": [release.namespace]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint.get("path", "/metrics") == "/metrics"
    (target,) = (port["targetPort"] for port in service["spec"]["ports"] if port["name"] == endpoint["port"])
    (listening,) = (port["containerPort"] for port in container(release)["ports"] if port["name"] == target)
    environment = {each["name"]: each["value"] for each in container(release)["env"]}
    assert str(listening) == environment["HYPER2KVM_PORT"] == str(PORT)


def test_one_operator_runs_at_a_time_and_is_in_no_drains_way(release):
    deployment, budget = release.one("Deployment")["spec"], release.one("PodDisruptionBudget")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert (budget["maxUnavailable"], budget.get("minAvailable")) == (1, None)


def test_a_network_policy_leaves_the_operator_what_it_needs(release):
    """Its metrics and the way to the API server; DNS. On one port with the metrics are the probes."""
    policy = release.one("NetworkPolicy")["spec"]
    served = {(port["name"], port.get("protocol", "TCP")) for port in container(release)["ports"]}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert let_through(policy["ingress"]) == served
    probes = [container(release)[f"{probe}Probe"]["httpGet"]["port"] for probe in ("liveness", "readiness", "startup")]
    assert {(port, "TCP") for port in probes} <= served
    assert let_through(policy["egress"]) == {(443, "TCP"), (6443, "TCP"), *DNS}
    assert not any({"from", "to"} & set(rule) for rule in policy["ingress"] + policy["egress"])


def test_a_network_policy_knows_who_asks_for_metrics_and_where_the_api_server_is():
    """What comes from the pod's own node, such as the kubelet's probes, no policy keeps out (Kubernetes' documentation)."""
    peer = "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watch"
    policy = render(*ALL, peer, "networkPolicy.apiServerPorts={16443}").one("NetworkPolicy")["spec"]
    (ingress,) = policy["ingress"]
    assert ingress["from"] == [{"namespaceSelector": {"matchLabels": {"team": "watch"}}}]
    assert let_through(policy["ingress"]) == {("metrics", "TCP")}
    assert let_through(policy["egress"]) == {(16443, "TCP"), *DNS}
    forgotten = render(*ALL, "networkPolicy.apiServerPorts=null").one("NetworkPolicy")["spec"]
    assert let_through(forgotten["egress"]) == DNS


def let_through(rules: list[Json]) -> set[tuple[int | str, str]]:
    """Ports that rules name, with their protocols. One that names none would let everything through."""
    assert all(rule["ports"] for rule in rules)
    return {(port["port"], port.get("protocol", "TCP")) for rule in rules for port in rule["ports"]}


AUTO = "Conversion pods take KVM from KubeVirt's device plugin"
PRIVILEGED = "Conversion pods are privileged."
KEPT = "Their definitions and all migration objects stay."
NOT_KEPT = "uninstalling this release removes every migration object"
NOTES = {
    (): {AUTO, KEPT},
    ("kvm=Privileged",): {PRIVILEGED, KEPT},
    ("kvm=DevicePlugin",): {KEPT},
    ("kvm=None", "crds.install=false"): {KEPT},
    ("crds.keep=false",): {AUTO, NOT_KEPT},
    # What others manage stays, whatever this says.
    ("crds.keep=false", "crds.install=false"): {AUTO, KEPT},
    ("watchNamespaces={moves,more}",): {AUTO, KEPT},
    ("kvm=Privileged", "crds.keep=false"): {PRIVILEGED, NOT_KEPT},
}
"""Values → what the notes say only with such."""


@pytest.fixture(scope="module", params=NOTES, ids=lambda settings: " ".join(settings) or "defaults")
def noted(request: pytest.FixtureRequest) -> Release:
    """A release with the notes of each branch."""
    return render(*request.param, name="mine", namespace="there")


@pytest.mark.parametrize(("noted", "told"), NOTES.items(), indirect=["noted"])
def test_notes_are_about_what_was_chosen(noted, told):
    version = yaml.safe_load((product.CHART / "Chart.yaml").read_text())["appVersion"]
    assert noted.notes.startswith(f"hyper2kvm {version} runs in there.\n")
    assert {words for words in (AUTO, PRIVILEGED, KEPT, NOT_KEPT) if words in noted.notes} == told
    assert ("enforce=privileged" in noted.notes) == bool({AUTO, PRIVILEGED} & told)
    assert [mark for mark in ("{{", "<no value>", "<nil>", "%!") if mark in noted.notes] == []


@dataclass(frozen=True)
class Call:
    """A call of kubectl: its arguments, and what it reads."""

    arguments: list[str]
    stdin: str = ""

    @property
    def namespace(self) -> str:
        """The value of `-n`."""
        return self.arguments[self.arguments.index("-n") + 1]


RECORDER = f"""#!{sys.executable} -IS
import json, sys
with open(__file__ + ".calls", "a") as calls:
    print(json.dumps([sys.argv[1:], sys.stdin.read()]), file=calls)
"""
"""A kubectl that only writes down how it is called."""


@pytest.fixture(scope="module")
def calls(noted, tmp_path_factory) -> list[Call]:
    """What the notes have a user call: a shell runs their blocks as they are, and finds no other program than kubectl."""
    kubectl = tmp_path_factory.mktemp("bin") / "kubectl"
    kubectl.write_text(RECORDER)
    kubectl.chmod(0o755)
    block = "\n".join(line for line in noted.notes.splitlines() if line.startswith("  "))
    run(["bash", "-euc", block], deadline=30, environment={"PATH": str(kubectl.parent)})
    recorded = [Call(*json.loads(line)) for line in Path(f"{kubectl}.calls").read_text().splitlines()]
    inline = Page(product.REPOSITORY / "NOTES.txt", noted.notes).commands("kubectl", "helm", "h2k")
    assert {program for program, *_ in inline} <= {"kubectl"}
    return [*recorded, *(Call(arguments) for _, *arguments in inline)]


@pytest.fixture(scope="module")
def short_names() -> list[str]:
    return [name for each in render().all("CustomResourceDefinition") for name in each["spec"]["names"]["shortNames"]]


def test_commands_of_the_notes_are_about_what_is_there(noted, calls, short_names):
    (migration,) = (value for call in calls for value in yaml.safe_load_all(call.stdin))
    parse(VirtualMachineMigration, migration, "NOTES.txt")
    effective_spec(migration, [])
    environment = {each["name"]: each["value"] for each in container(noted)["env"]}
    assert migration["metadata"]["namespace"] in (
        json.loads(environment["HYPER2KVM_WATCH_NAMESPACES"]) or ["migrations"]
    )
    for call in calls:
        match call.arguments:
            case ["apply", "-f", "-"]:
                assert call.stdin
            case ["get", kind, *_]:
                assert kind in short_names
                assert call.namespace == migration["metadata"]["namespace"]
            case ["label", "namespace", namespace, level]:
                assert namespace == noted.namespace
                assert level == "pod-security.kubernetes.io/enforce=restricted"
            case ["logs", *_, job]:
                assert job in [f"job/{each['metadata']['name']}" for each in noted.all("Job")]
                assert call.namespace == noted.namespace
            case other:
                pytest.fail(f"what is kubectl {' '.join(other)} about?")
    verbs = [call.arguments[0] for call in calls]
    assert verbs == ["apply", "get", "label", *(["logs"] if noted.all("Job") else [])]


@pytest.mark.parametrize("noted", [("crds.keep=false",)], indirect=True)
def test_kubectl_takes_the_commands_of_the_notes(calls, tmp_path):
    """It goes as far as to ask the API server, and there is none. With these values the notes have every command."""
    ensure_built(KUBERNETES)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(NOBODY)
    for call in calls:
        ended = Kubectl(kubeconfig).run(*call.arguments, stdin=call.stdin, check=False)
        assert "127.0.0.1:1" in ended.stderr, call
        assert "refused" in ended.stderr, call
