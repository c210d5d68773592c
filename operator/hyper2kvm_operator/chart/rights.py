"""The operator's rights, as RBAC rules in the chart's template: exactly what the table of resources says."""

from collections.abc import Sequence

import yaml

from hyper2kvm_operator.kube.resources import Resource, Resources

_WATCHING = Resource("v1", "Namespace", "namespaces", ("list", "watch"), namespaced=False)
_DISCOVERING = Resource(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    ("list", "watch"),
    namespaced=False,
)
"""kopf looks for the namespaces and kinds that it is to watch."""


def rules(resources: Sequence[Resource]) -> list[dict[str, list[str]]]:
    """RBAC rules that allow what the operator does with the resources."""
    made = []
    for resource in resources:
        made.append(_rule(resource.group, resource.plural, resource.verbs))
        made += [_rule(resource.group, f"{resource.plural}/{name}", verbs) for name, verbs in resource.subresources]
    return made


def rules_template(header: str) -> str:
    """The chart's template with the operator's rights: in namespaces, and of the cluster."""
    kinds = [kind.value for kind in Resources]
    parts = {
        "hyper2kvm.rules": [kind for kind in kinds if kind.namespaced],
        "hyper2kvm.clusterRules": [*(kind for kind in kinds if not kind.namespaced), _WATCHING, _DISCOVERING],
    }
    text = f"{{{{- /* {header} */}}}}\n"
    for name, resources in parts.items():
        body = yaml.safe_dump(rules(resources), default_flow_style=None, sort_keys=False, width=200).rstrip()
        text += f'{{{{- define "{name}" -}}}}\n{body}\n{{{{- end }}}}\n'
    return text


def _rule(group: str, plural: str, verbs: Sequence[str]) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": [plural], "verbs": list(verbs)}
