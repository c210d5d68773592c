import click

from hyper2kvm.cli.reference import commands, page
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
