"""Mistakes in the config of a study: `descent compare -c mistake.yaml --plan`."""

import random
from typing import Any

import yaml

from descent.presets import SHIPPED
from tests.fuzz.case import VALUES, Case, Start, wrong_word

NAMES = ("quickstart", "linear_regression", "faster")
MORE = {
    "trials": 1, "seeds": 2, "seed": 0, "tuning": "once", "repeats": 1, "split_key": "data.split_seed", "threads": 1,
    "smallest_difference": 1000.0, "interval": "t", "targets": ["AdamW"], "mode": "max", "name": "mine", "seed_keys": [],
}  # fmt: skip


def study(choose: random.Random, _: Start) -> Case:
    """Return a study with a key misspelt, dropped or doubled, or with a wrong value."""
    whole = yaml.safe_load((SHIPPED / "studies" / f"{choose.choice(NAMES)}.yaml").read_text())
    whole = yaml.safe_load(yaml.safe_dump(whole).replace("../", ""))
    candidates = whole["candidates"]
    whole["overrides"] = {
        **whole.get("overrides", {}),
        "trainer.max_epochs": 1,
        "trainer.limit_train_batches": 1,
        "trainer.check_val_every_n_epoch": 1,
    }
    whole = {**MORE, **{key: value for key, value in whole.items() if key not in MORE}, "targets": list(candidates)[:1]}
    whole.pop("mode")
    words = ("compare", "-c", "mistake.yaml", "--plan")
    key = choose.choice(list(whole))
    what = choose.choice(("misspelt", "dropped", "value", "value", "value", "inside", "inside", "doubled"))
    if what == "doubled":
        text = yaml.safe_dump(whole) + f"{key}: 1\n"
        return Case(words, "study", key, file=text.encode())
    if what == "misspelt":
        wrong = wrong_word(choose, key)
        if wrong in whole or not wrong:
            wrong = f"{key}_x"
        whole[wrong] = whole.pop(key)
        return Case(words, "misspelt", wrong, key, file=yaml.safe_dump(whole).encode())
    if what == "dropped":
        del whole[key]
        return Case(words, "study", file=yaml.safe_dump(whole).encode())
    value = _value(choose)
    if what == "inside":
        return _inside(choose, whole, words, value)
    whole[key] = value
    return Case(words, "study", key, file=yaml.safe_dump(whole).encode())


def _inside(choose: random.Random, whole: dict[str, Any], words: tuple[str, ...], value: Any) -> Case:
    """Make the mistake inside a candidate, the overrides or the search."""
    name = choose.choice(list(whole["candidates"]))
    place, label = choose.choice((
        (whole["candidates"], name), (whole["candidates"][name], "model.optimizer"), (whole["overrides"], "data.val_share"),
        (whole["search"], "model.optimizer.lr"), (whole["search"], "model.optimizer.nosuch"),
        (whole["candidates"][name], "model.nosuch"), (whole["overrides"], "trainer.max_epochs"),
        (whole["candidates"][name], "search"), (whole["overrides"], "trainer"), (whole["overrides"], "nosuch.key"),
    ))  # fmt: skip
    place[label] = value
    return Case(words, "study", label.rpartition(".")[2], file=yaml.safe_dump(whole).encode())


def _value(choose: random.Random) -> Any:
    while True:
        try:
            return yaml.safe_load(choose.choice(VALUES))
        except yaml.YAMLError:
            continue
