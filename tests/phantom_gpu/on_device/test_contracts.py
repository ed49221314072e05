"""The contracts of the losses and optimizers, with every tensor made on the device."""

from collections.abc import Iterator

import pytest
import torch

from tests.contracts import test_losses, test_optimizers

pytestmark = pytest.mark.phantom_gpu(values=True)


@pytest.fixture(autouse=True)
def _on_the_device() -> Iterator[None]:
    with torch.device("cuda"):
        yield


test_scalar_with_a_gradient = test_losses.test_scalar_with_a_gradient
test_a_batch_without_targets = test_losses.test_a_batch_without_targets
test_ignored_predictions_get_no_gradient = test_losses.test_ignored_predictions_get_no_gradient

test_continues_identically = test_optimizers.test_a_saved_and_restored_optimizer_continues_identically
test_a_parameter_without_a_gradient = test_optimizers.test_a_parameter_without_a_gradient_does_not_change
test_a_step_without_any_gradient = test_optimizers.test_a_step_without_any_gradient_changes_nothing
