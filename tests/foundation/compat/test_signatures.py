"""jsonargparse still tells what a class takes, as `foundation.compat.signatures` asks it."""

from typing import Any

from jsonargparse import ArgumentParser

from foundation.compat.argument_parsers import subcommand_parser
from foundation.compat.signatures import linked_arguments, parser_arguments, signature_of


class Base:
    """A class with an argument that a subclass inherits."""

    def __init__(self, size: "int", name: str = "a") -> None:
        self.size = size


class Child(Base):
    """A class that passes arguments on."""

    def __init__(self, first: object, share: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)


def test_inherited_arguments_have_types() -> None:
    found = signature_of(Child, given_by_caller=1)
    assert list(found) == ["share", "size", "name"]
    assert found["size"].type is int
    assert [name for name, each in found.items() if each.required] == ["size"]


def test_a_parser_tells_its_arguments_and_links() -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(Base, "base")
    parser.add_subclass_arguments(Base, "other")
    parser.link_arguments("base.size", "other.init_args.size", apply_on="instantiate")
    found = parser_arguments(parser)
    assert found["base.size"].type is int
    assert "other" in found
    assert linked_arguments(parser) == {"other.size"}


def test_a_subcommand_has_its_parser() -> None:
    parser, inner = ArgumentParser(), ArgumentParser()
    parser.add_subcommands().add_subcommand("fit", inner)
    assert subcommand_parser(parser, "fit") is inner
    assert subcommand_parser(parser, "nothing") is parser
