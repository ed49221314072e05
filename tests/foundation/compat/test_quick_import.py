"""torchmetrics comes without `scipy.signal`, which stays as it is for who needs it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from foundation.compat.quick_import import import_torchmetrics
import_torchmetrics()
import lightning.pytorch
print("torchmetrics" in sys.modules, "scipy.signal" in sys.modules)
from scipy.signal import find_peaks
import scipy
print(len(find_peaks([0, 1, 0])[0]), scipy.signal.find_peaks is find_peaks)
import_torchmetrics()
print(scipy.signal is sys.modules["scipy.signal"])
"""


def test_scipy_signal_is_imported_only_when_needed() -> None:
    """If a new torchmetrics needs more of it, this says so: then the module may go."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout == "True False\n1 True\nTrue\n", ended.stderr
