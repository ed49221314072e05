"""Checks of the arguments that networks share."""


def check_at_least_one(**arguments: int) -> None:
    """Refuse arguments below 1, by name.

    Raises:
        ValueError: An argument is below 1.

    Example:
        >>> check_at_least_one(width=0)
        Traceback (most recent call last):
        ValueError: width must be ≥ 1, got 0.
    """
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name} must be ≥ 1, got {value}.")
