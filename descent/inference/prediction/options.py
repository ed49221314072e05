"""Check the options of `descent predict` against the trained network."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from descent.inference.classifiers import Classifier
from foundation.errors import UserError
from foundation.suggestions import suggest
from lightning_modules import BinaryClassifier, MultilabelClassifier

FILES = (".json", ".yaml", ".yml")


def checked_top_k(top_k: int | None, module: Classifier, class_names: list[str]) -> int:
    """Return how many classes each image gets: by default two.

    Raises:
        UserError: The number is out of range, or the network predicts labels.
    """
    if top_k is None:
        return 2
    if isinstance(module, MultilabelClassifier):
        raise UserError(
            "--top_k is for networks that predict one class; this one predicts labels, and predictions.csv holds the "
            "probability of each of them. Leave it out."
        )
    if not 1 <= top_k <= len(class_names):
        raise UserError(f"--top_k must be in [1, {len(class_names)}], the number of classes, got {top_k}.")
    return top_k


def checked_threshold(words: list[str] | None, module: Classifier, class_names: list[str]) -> float | Tensor | None:
    """Return the threshold of the positive class, or that of each label `(K,)`; None: that of the module.

    Args:
        words: One number; for labels also `LABEL=NUMBER`, several, or a YAML or JSON file with a number for each label.
            Labels that are not named keep the module's threshold.
        module: The classifier.
        class_names: Names of its classes or labels.

    Raises:
        UserError: The network chooses the most probable class, a label is unknown, or a number is not in (0, 1).
        OSError: The file cannot be read.
    """
    if words is None:
        return None
    if not isinstance(module, BinaryClassifier | MultilabelClassifier):
        raise UserError(
            f"--threshold is for BinaryClassifier and MultilabelClassifier; a {type(module).__name__} predicts the "
            "most probable class. Leave it out, and use the column probability."
        )
    if len(words) == 1 and (number := _number(words[0])) is not None:
        return _in_range("", number)
    given = _given(words)
    if isinstance(module, BinaryClassifier):
        raise UserError(
            f"--threshold {' '.join(words)}: the network has one threshold, for the class {class_names[1]}; give one "
            "number in (0, 1)."
        )
    thresholds = torch.full((len(class_names),), module.threshold)
    for label, value in given.items():
        if label not in class_names:
            known = suggest(str(label), class_names) or f" There are {', '.join(class_names[:20])}."
            raise UserError(f"--threshold: the network has no label {label}.{known}")
        thresholds[class_names.index(label)] = _in_range(f"{label}=", value)
    return thresholds


def _given(words: list[str]) -> dict[str, Any]:
    """Return the thresholds by label."""
    found: dict[str, Any] = {}
    for word in words:
        label, equals, value = word.rpartition("=")
        if equals:
            found[label] = value
        elif Path(word).suffix.lower() in FILES:
            found |= _from_file(Path(word))
        else:
            raise UserError(
                f"--threshold must be a number in (0, 1), LABEL=NUMBER, or a file ({', '.join(FILES)}), got {word}."
            )
    return found


def _from_file(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    try:
        content = json.loads(text) if file.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"--threshold {file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"--threshold {file} must hold one LABEL: NUMBER for each label, got {content!r:.60}.")
    return {str(label): value for label, value in content.items()}


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _in_range(label: str, value: Any) -> float:
    number = _number(value)
    if number is None or not 0 < number < 1:
        raise UserError(f"--threshold must be in (0, 1), got {label}{value}.")
    return number


def checked_temperature(word: str) -> float | None:
    """Return the temperature that a word gives; None for `fitted`.

    Raises:
        UserError: It is neither `fitted` nor a positive number.
    """
    if word == "fitted":
        return None
    number = _number(word)
    if number is None or not 0 < number < math.inf:
        raise UserError(f"--temperature must be a number > 0 or fitted, got {word}.")
    return number
