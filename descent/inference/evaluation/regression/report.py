"""Evaluate a regression on the run's test data, and report it."""

from collections.abc import Iterable, Sequence

import numpy as np

from descent.inference.evaluation.outputs import Samples, outputs_of_test_data
from descent.inference.evaluation.regression.evaluation import RegressionEvaluation
from descent.inference.evaluation.regression.page import error_sentence, regression_page, regression_remarks
from descent.inference.evaluation.report import Report, Table
from descent.inference.loading import TrainedNetwork
from foundation.errors import UserError
from lightning_modules import Regressor


def evaluate_regressor(trained: TrainedNetwork, module: Regressor) -> RegressionEvaluation:
    """Evaluate a regressor on the run's own test data.

    Raises:
        UserError: No prediction is finite.
    """
    found, samples = outputs_of_test_data(trained, lambda output: (module.prediction_columns(output)["prediction"],))
    predicted, targets = found.columns[0].double().numpy(), found.targets.double().flatten().numpy()
    finite = np.isfinite(predicted) & np.isfinite(targets)
    if not finite.any():
        raise UserError(f"none of the {len(finite):,} predictions is finite: the network's weights are of no use.")
    kept = finite.nonzero()[0]
    load = samples.load_image
    names = [samples.names[row] for row in kept]
    shown = Samples(names, None if load is None else lambda row: load(int(kept[row])))
    return RegressionEvaluation(predicted[kept], targets[kept], shown, int((~finite).sum()))


def regression_report(found: RegressionEvaluation, network: str, remarks: Sequence[str] = ()) -> Report:
    """Report a regression's evaluation; see `classification_report` for the arguments."""
    said = [*remarks, *regression_remarks(found)]
    return Report(
        found,
        [error_sentence(found), *regression_remarks(found)],
        {"checkpoint": network, "remarks": said} | found.summary(),
        {"answers.csv": Table(["sample", "true", "predicted", "error"], _rows(found))},
        lambda: regression_page(found, network, remarks),
    )


def _rows(found: RegressionEvaluation) -> Iterable[Sequence[object]]:
    columns = found.targets.tolist(), found.predicted.tolist(), found.errors.tolist()
    return zip(found.samples.names, *columns, strict=True)
