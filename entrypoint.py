#!/usr/bin/env -S python3 -I
"""Runs the package from source; the image keeps its locked dependencies in `packages`, beside it."""

import sys
from pathlib import Path

home = Path(__file__).resolve().parent
sys.path[:0] = [str(home / "src"), str(home / "packages")]
__import__("cdk8s_publish.cli").cli.console()
