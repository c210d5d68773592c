import json
import tomllib

import pytest
import yaml

from lab.cluster import configuration, network, services
from lab.cluster.layout import RUN, Layout
from lab.product import REPOSITORY

LAYOUT = RUN
NODE = services.node(LAYOUT)


def test_services_start_after_what_they_call():
    after = {service.name: service.after for service in NODE.services}
    assert after["kube-apiserver"] == ("127.0.0.1:2379",)
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns", "provisioner"):
        assert "198.18.0.2:6443" in after[name]
    assert services.CONTAINERD_SOCKET in after["kubelet"]


def test_no_service_writes_into_the_users_home():
    assert {service.environment["HOME"] for service in NODE.services} == {str(LAYOUT.home)}


def test_the_kubelets_folder_is_mounted_after_the_overlay_that_would_hide_it():
    targets = [command[-1] for command in services.mounts(LAYOUT) if command[0] == "mount"]
    assert targets.index("/var/lib") < targets.index("/var/lib/kubelet")
    assert targets[0] == targets[-1] == "/"


def test_no_service_has_a_secret_on_its_command_line():
    for service in NODE.services:
        for argument in service.arguments:
            assert "BEGIN" not in argument
            assert "password" not in argument


@pytest.mark.parametrize(
    ("template", "parse"),
    [("containerd.toml", tomllib.loads), ("10-lab.conflist", json.loads), ("kubelet.yaml", yaml.safe_load)],
)
def test_configuration_files_are_well_formed(template, parse):
    text = configuration.render(template, LAYOUT, "localhost/lab/pause:1")
    assert parse(text)
    assert "$" not in text


def test_pods_get_their_addresses_and_their_dns_from_the_layout():
    plugins = json.loads(configuration.render("10-lab.conflist", LAYOUT, ""))["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "198.18.32.0/19"}]]
    assert yaml.safe_load(configuration.render("kubelet.yaml", LAYOUT, ""))["clusterDNS"] == ["198.18.0.2"]


def test_configuration_is_written_below_the_clusters_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Layout, "folder", property(lambda _: tmp_path))
    configuration.write(LAYOUT, "localhost/lab/pause:1")
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"etc/containerd.toml", "etc/cni/10-lab.conflist", "etc/kubelet.yaml", "etc/Corefile"} < written


def test_the_host_keeps_one_link_and_one_route():
    commands = network.host_commands(LAYOUT, 4711)
    assert [command[1:3] for command in commands] == [
        ["link", "add"],
        ["address", "add"],
        ["link", "set"],
        ["route", "add"],
    ]
    assert "4711" in commands[0]
    assert commands[-1][3] == "198.18.0.0/17"


def test_the_node_has_no_default_route():
    assert not any("default" in command for command in network.node_commands(LAYOUT))


REGISTRIES = ("docker.io", "quay.io", "ghcr.io", "gcr.io", "registry.k8s.io", "mcr.microsoft.com")
BUILT = ("operator", "conversion-image", "charts", "manifests", "tests/lab", "Makefile", ".ci")
"""What images are built and run from."""


def test_no_registry_is_named():
    files = [path for each in BUILT for path in (REPOSITORY / each, *(REPOSITORY / each).rglob("*"))]
    # Paths of Go modules look like registries.
    texts = {path: path.read_text(errors="replace") for path in files if path.is_file() and "/go/" not in str(path)}
    assert len(texts) > 100
    assert [(str(path), name) for path, text in texts.items() for name in REGISTRIES if name in text] == []
