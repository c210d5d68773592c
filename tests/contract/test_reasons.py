"""What the remedies of reasons speak of exists: fields, commands and their options, values of the chart, variables."""

import re

import pytest

from hyper2kvm.cli.reference import commands
from hyper2kvm_api.crd import migration_crd
from hyper2kvm_api.reasons import REASONS
from hyper2kvm_operator.chart.values import Values

TEXTS = {str(reason): f"{text.cause} {text.remedy}" for reason, text in REASONS.items()}
CHART_VALUE = re.compile(r"chart's value ([A-Za-z.]+[A-Za-z])")
COMMAND = re.compile(r"`h2k ([a-z]+)`")
OPTION = re.compile(r"(?<!\w)--[a-z-]+")
FIELD = re.compile(r"spec(?:\.[A-Za-z]+)+")


def member(schema, path):
    """What a path leads to; a map has every key."""
    for step in path:
        schema = schema["additionalProperties"] if "additionalProperties" in schema else schema["properties"][step]
    return schema


@pytest.mark.parametrize("reason", TEXTS)
def test_what_a_remedy_names_exists(reason):
    text = TEXTS[reason]
    for path in CHART_VALUE.findall(text):
        value = Values()
        for step in path.split("."):
            value = value.model_dump(by_alias=True)[step] if not isinstance(value, dict) else value[step]
    known = commands()
    assert set(COMMAND.findall(text)) <= set(known)
    options = {option for command in known.values() for parameter in command.params for option in parameter.opts}
    assert set(OPTION.findall(text)) <= options | {"--help"}
    schema = migration_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path in FIELD.findall(text):
        assert member(schema, path.split("."))


def test_the_patterns_find_what_they_look_for():
    """A text that is written another way would not be looked at."""
    everything = " ".join(TEXTS.values())
    values = set(CHART_VALUE.findall(everything))
    assert {"conversion.image.name", "conversion.deadline", "hostPathSources.enabled", "imagePullSecrets"} <= values
    assert everything.count("chart's value") == len(CHART_VALUE.findall(everything))
    assert {"doctor"} <= set(COMMAND.findall(everything))
    assert {"--workspace", "--output"} <= set(OPTION.findall(everything))
    assert len(FIELD.findall(everything)) > 20
