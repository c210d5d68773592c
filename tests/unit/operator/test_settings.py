from pathlib import Path

import pytest
import yaml

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.kubernetes_types import Resources, Toleration
from hyper2kvm_api.options import KvmMode
from hyper2kvm_operator.settings import PREFIX, Settings, from_environment

IMAGE = {"HYPER2KVM_CONVERSION_IMAGE": "example/conversion:1"}
INSTALLED = Path(__file__).parents[3] / "manifests/install.yaml"


def test_lists_and_maps_are_written_as_yaml():
    read = from_environment(
        {
            **IMAGE,
            "HYPER2KVM_WATCH_NAMESPACES": "[moves, more]",
            "HYPER2KVM_KVM": "None",
            "HYPER2KVM_ALLOW_HOST_PATH": "true",
            "HYPER2KVM_RESOURCES": '{"requests": {"cpu": "2"}}',
            "HYPER2KVM_TOLERATIONS": '[{"key": "kvm", "operator": "Exists"}]',
            "HYPER2KVM_JOB_DEADLINE": "3600",
            "PATH": "/usr/bin",
        }
    )
    assert read == Settings(
        conversion_image="example/conversion:1",
        watch_namespaces=["moves", "more"],
        kvm=KvmMode.NONE,
        allow_host_path=True,
        resources=Resources(requests={"cpu": "2"}),
        tolerations=[Toleration(key="kvm", operator="Exists")],
        job_deadline=3600,
    )


@pytest.mark.parametrize("image", ["1.10", "localhost:5000/conversion@sha256:00", "on"])
def test_a_text_is_taken_as_it_is_written(image):
    assert from_environment({"HYPER2KVM_CONVERSION_IMAGE": image}).conversion_image == image


def test_an_empty_variable_counts_as_none():
    assert from_environment({**IMAGE, "HYPER2KVM_MAX_CONCURRENT": ""}) == from_environment(IMAGE)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "conversionImage"),
        ({**IMAGE, "HYPER2KVM_MAX_CONCURRENT": "0"}, "maxConcurrent"),
        ({**IMAGE, "HYPER2KVM_MAX_CONCURRENT": "many"}, "maxConcurrent"),
        ({**IMAGE, "HYPER2KVM_MAX_CONCURENT": "3"}, "HYPER2KVM_MAX_CONCURENT"),
        ({**IMAGE, "HYPER2KVM_KVM": "Sometimes"}, "kvm"),
        ({**IMAGE, "HYPER2KVM_RESOURCES": "{requests: {cpu: [}}"}, "HYPER2KVM_RESOURCES"),
        ({**IMAGE, "HYPER2KVM_RESOURCES": "{requests: {cpu: lots}}"}, "resources.requests"),
        ({**IMAGE, "HYPER2KVM_FINISHED_JOB_TTL": "0"}, "finishedJobTtl"),
        ({**IMAGE, "HYPER2KVM_PORT": "99999"}, "port"),
        ({**IMAGE, "HYPER2KVM_LOG_FORMAT": "xml"}, "logFormat"),
    ],
)
def test_a_wrong_setting_is_named(given, words):
    with pytest.raises(SpecError) as caught:
        from_environment(given)
    assert words in caught.value.message


def test_the_chart_states_every_setting_and_its_values_are_the_defaults():
    objects = yaml.safe_load_all(INSTALLED.read_text())
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert set(environment) == {PREFIX + name.upper() for name in Settings.model_fields}
    read = from_environment(environment)
    assert read == Settings(conversion_image=read.conversion_image)
    assert container["ports"] == [{"name": "metrics", "containerPort": read.port}]
