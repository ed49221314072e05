"""Python runs this at the start of every process on the phantom GPU: where values are wanted, they are computed in it."""

import os
import sys

if os.environ.get("PHANTOM_VALUES") == "1" and not any("multiprocessing" in word for word in sys.orig_argv):
    from tests.phantom_gpu.values import RealValues

    RealValues().__enter__()
