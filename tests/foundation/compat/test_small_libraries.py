"""Private parts of torchmetrics, torchvision, Optuna and argparse work as `foundation.compat` expects."""

import argparse
import re
import warnings
from pathlib import Path

import jsonargparse
import optuna
import pytest
import torch
from optuna.storages import RDBStorage
from torchmetrics import MeanMetric

from foundation.compat.argument_parsers import argument_names
from foundation.compat.optuna import record_heartbeat
from foundation.compat.torchmetrics import set_update_count
from foundation.compat.torchvision import pet_archives


def test_a_metric_whose_count_was_set_computes_without_a_warning() -> None:
    metric = MeanMetric()
    metric.mean_value, metric.weight = torch.tensor(6.0), torch.tensor(2.0)
    set_update_count(metric, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric.compute() == 3
    assert (metric.update_count, metric.update_called) == (2, True), "torchmetrics keeps its count elsewhere"


def test_the_pets_have_two_archives_with_checksums() -> None:
    archives = pet_archives()
    assert [url.rpartition("/")[2] for url, _ in archives] == ["images.tar.gz", "annotations.tar.gz"]
    assert all(re.fullmatch(r"[0-9a-f]{32}", md5) for _, md5 in archives)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_heartbeat_is_recorded_for_the_trial(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path}/study.db", heartbeat_interval=60, grace_period=120)
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    record_heartbeat(trial)
    with storage.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT COUNT(*) FROM trial_heartbeats").scalar()
    assert rows == 1, "Optuna's storage no longer takes the heartbeat of a trial by `_trial_id`"


@pytest.mark.parametrize("kind", [argparse.ArgumentParser, jsonargparse.ArgumentParser])
def test_the_arguments_of_a_parser_are_listed(kind: type[argparse.ArgumentParser]) -> None:
    parser = kind()
    parser.add_argument("--rate", "-r", type=float)
    parser.add_argument("--seed")
    assert argument_names(parser) == {"rate", "seed"}


def test_the_subcommands_of_a_parser_are_listed() -> None:
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--seed")
    parser.add_subcommands().add_subcommand("fit", jsonargparse.ArgumentParser())
    assert {"seed", "fit"} <= argument_names(parser)
    plain = argparse.ArgumentParser()
    plain.add_subparsers().add_parser("fit")
    assert "fit" in argument_names(plain)


def test_jsonargparse_loads_yaml_as_descent_expects() -> None:
    assert jsonargparse.get_loader("yaml")("{a: 1e-3, b: null}") == {"a": 1e-3, "b": None}
