"""jsonargparse asks the public methods that `QuickParser` overrides, and gets the same answers."""

from collections import Counter
from typing import Any

import pytest
from jsonargparse import Namespace

from descent.presets import shipped
from descent.training.build import config_parser
from foundation.compat.quick_parser import QuickParser, frozen

WORDS = ["--config", str(shipped("quickstart.yaml")), "--model.optimizer.lr", "0.5", "--data.batch_size", "7"]


def answers(monkeypatch: pytest.MonkeyPatch, remembered: bool) -> tuple[Any, str, Counter[str]]:
    """Return a parsed config, its text, and how often jsonargparse itself was asked."""
    asked: Counter[str] = Counter()
    with monkeypatch.context() as patch:
        for name in ("parse_object", "validate"):
            original = getattr(QuickParser.__mro__[1], name)

            def counted(self: Any, *args: Any, original: Any = original, name: str = name, **kwargs: Any) -> Any:
                asked[name] += 1
                return original(self, *args, **kwargs)

            patch.setattr(QuickParser.__mro__[1], name, counted)
        if not remembered:
            patch.setattr(QuickParser, "_key", lambda *_: None)
        parser = config_parser()
        parsed = parser.parse_args(WORDS)
        return parsed, parser.dump(parsed), asked


def test_the_answers_are_the_same_and_most_are_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, slow_text, often = answers(monkeypatch, remembered=False)
    quick, quick_text, seldom = answers(monkeypatch, remembered=True)
    assert quick.as_dict() == slow.as_dict()
    assert quick_text == slow_text
    for name in ("parse_object", "validate"):
        assert 0 < seldom[name] < 0.7 * often[name], "jsonargparse no longer calls it, or with values that differ"


def test_nothing_is_remembered_after_a_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(monkeypatch, remembered=True)[2] == answers(monkeypatch, remembered=True)[2]


def test_parsers_are_told_apart_also_from_those_that_are_gone() -> None:
    assert len({QuickParser()._key("question") for _ in range(50)}) == 50


def test_values_are_told_apart() -> None:
    values = [0, False, 0.0, -0.0, "0", None, [0], (0,), {"a": 0}, Namespace(a=0), int, ["a", "b"], ["ab"]]
    assert len({frozen(value) for value in values}) == len(values)
    assert frozen({"a": [1.5, {"b": int}]}) == frozen({"a": [1.5, {"b": int}]})
    with pytest.raises(TypeError):
        frozen({"a": object()})
