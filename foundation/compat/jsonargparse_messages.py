r"""Patterns of the messages of jsonargparse, and of argparse below it, that Descent recognizes.

A parse error carries no fields, only a text: every type that was tried with its reason, indented as the config is.
"""

UNRECOGNIZED = r"[Uu]nrecognized arguments: (.+)"
NOT_ACCEPTED = r"Option '([^']+)' is not accepted"
OPTION_NOT_ACCEPTED = r"does not accept option '([\w.]+)'"
INVALID_YAML = r"Problems parsing config: (.+(?:\n.+)*)"
REQUIRED = r"the following arguments are required: ([\w, ]+)"
NO_ATTRIBUTE = r"module '([\w.]+)' has no attribute '(\w+)'"
NO_MODULE = r"No module named '([\w.]+)'"
NOT_A_SUBCLASS = r"[Ii]mport path ([\w.]+) does not correspond to a subclass of (\w+)"
NOT_A_CHOICE = r"Expected a typing\.Literal\[(.+?)\]"
ERRORS_OF_SUBTYPES = r"Subtypes: .*\n\s*Errors:\n((?:.*\n)*?)\s*Given value"
NOT_OF_TYPE = r"Expected an? <class '(?:int|float|bool|str|dict|list)'>"
NOT_AN_IMPORT_PATH = r"Expected a dot import path string: (\S+)"
"""What is wrong, in the order in which Descent looks for it: the specific before the general."""

KEY = r'Parser key "([^"]+)"'
CLASS_PATH = r"class_path '([\w.]+)'"
CLASS_PATH_OF_NAMESPACE = r"class_path[ =]'([\w.]+)'"
EXPECTED_TYPE = r"Expected an? <class '([\w.]+)'>"
GIVEN_VALUE = r"Given value: ([^\n]*)"
"""Where it is wrong, what was expected and what was given."""

PROSE_OF_UNION = r"Expected |Problem with given|does not correspond|Errors:|Subtypes:|Given value|Parser key|Does not v"
"""Lines of a message about a union of types that are jsonargparse's own; the others are what a constructor said."""
FIRST_ERROR_OF_UNION = r"Subtypes: .*? Errors: - (.*?)(?: - Expected| Given value|$)"
"""The first error in such a message, written as one line."""

NOT_SERIALIZED = "Unable to serialize instance "
"""Begins the value that `dump` writes for an object that it cannot serialize, beside a warning."""
