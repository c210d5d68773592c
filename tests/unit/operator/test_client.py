"""Where the client finds its cluster."""

import pytest
import yaml
from kubernetes.config import incluster_config

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_operator.kube.certificate import issue
from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.resources import Resources


def kubeconfig(path, server):
    named = {"name": "one"}
    content = {
        "clusters": [{**named, "cluster": {"server": server}}],
        "users": [{**named, "user": {"token": "t"}}],
        "contexts": [{**named, "context": {"cluster": "one", "user": "one"}}],
        "current-context": "one",
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def pod(monkeypatch, tmp_path):
    """As in a pod: the service account's files, and the API server's address in the environment."""
    for name, text in (("token", "pods"), ("ca.crt", issue("kubernetes").certificate)):
        tmp_path.joinpath(name).write_text(text)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")


def server():
    return KubeClient()._api.configuration.host


def test_a_kubeconfig_that_is_named_counts_inside_a_pod_too(pod, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", "http://named:1")))
    assert server() == "http://named:1"


def test_in_a_pod_the_service_account_counts(pod, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert server() == "https://10.0.0.1:443"


@pytest.mark.parametrize("content", [None, "", "{not yaml", "apiVersion: v1"])
def test_without_a_kubeconfig_that_says_where_the_error_says_what_to_do(monkeypatch, tmp_path, content):
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterError) as caught:
        KubeClient()
    assert caught.value.reason == "ClusterNotConfigured"
    assert "KUBECONFIG" in caught.value.hint


def test_of_a_long_list_one_page_after_the_other_is_fetched(pod, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", "http://named:1")))
    client, asked = KubeClient(), []

    def page(method, path, *, query, accept):
        asked.append(query["continue"])
        return {
            "items": [{"metadata": {"name": str(len(asked))}}],
            "metadata": {"continue": "2" if len(asked) < 2 else ""},
        }

    monkeypatch.setattr(client, "_json", page)
    found = client.each(Resources.NODE.value)
    assert next(found)["metadata"]["name"] == "1"
    assert asked == [None]
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [("Node", "2")]
    assert asked == [None, "2"]


def test_to_see_whether_a_list_is_refused_no_more_than_one_object_is_fetched(pod, monkeypatch):
    client, asked = KubeClient(), []
    monkeypatch.setattr(client, "_json", lambda *request, query, **_: asked.append((*request, query)))
    client.try_list(Resources.JOB.value, "moves")
    assert asked == [("GET", "/apis/batch/v1/namespaces/moves/jobs", {"limit": "1"})]


def test_a_list_of_nothing_may_be_null(pod, monkeypatch):
    """So says the API server when it is asked for metadata only."""
    client = KubeClient()
    monkeypatch.setattr(client, "_json", lambda *_, **__: {"metadata": {"resourceVersion": "1"}, "items": None})
    assert client.uids(Resources.JOB.value) == set()
