import re
from pathlib import Path

import click

import hyper2kvm
from hyper2kvm.cli.reference import VARIABLES, commands, page
from hyper2kvm_api.reasons import Category


def test_the_page_has_every_command_that_users_see_and_no_other():
    text = page()
    for name, command in commands().items():
        assert (f"\n## h2k {name}\n" in text) is not command.hidden


def test_the_page_has_every_option_with_its_help():
    text = page()
    for command in commands().values():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not command.hidden:
                assert parameter.help or parameter.show_default, f"{command.name} {parameter.opts}"
                assert parameter.opts[0] in text


def test_the_page_has_every_exit_code():
    lines = page().splitlines()
    for category in Category:
        assert any(line.startswith(f"| {category.exit_code} |") for line in lines)


def test_the_page_has_every_variable_of_the_pipeline():
    code = [path.read_text() for path in Path(hyper2kvm.__file__).parent.rglob("*.py")]
    assert {name for text in code for name in re.findall(r"\"(HYPER2KVM_[A-Z_]+)\"", text)} <= set(VARIABLES)
    assert all(f"| `{name}` |" in page() for name in VARIABLES)
