"""Run a Python program on the phantom GPU: python -m tests.phantom_gpu [--devices N] [--values] -m cli fit -c ..."""

import argparse
import os
import sys

from tests.phantom_gpu.build import missing
from tests.phantom_gpu.device import environment


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.phantom_gpu", description=__doc__, allow_abbrev=False)
    parser.add_argument("--devices", type=int, default=1, help="how many devices there are (1)")
    parser.add_argument("--values", action="store_true", help="compute on the CPU what the devices are asked for")
    parser.add_argument("--launch-ns", type=int, default=0, help="what a launch costs the host, in ns (0; usual: 2500)")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="a module that Python is to run")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="or a file, with its arguments")
    options = parser.parse_args()
    if missing():
        sys.exit(f"There is no phantom GPU here: {missing()}.")
    added = environment(options.devices, values=options.values, launch_ns=options.launch_ns)
    program = ["-m", *options.module] if options.module else options.program
    os.execve(sys.executable, [sys.executable, *program], os.environ | added)


if __name__ == "__main__":
    main()
