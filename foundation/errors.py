"""The exception for a user's mistake."""


class UserError(Exception):
    """A mistake in a config, an argument or the data; the message says what was found, what was expected, what to do.

    The command line prints the message in one line and ends with exit code 2. Constructors raise `ValueError` for a
    value out of range; this is for what only shows later, with the data, the trainer or a file at hand.
    """
