from __future__ import annotations

import subprocess
import sys

CALLBACK = """
import signal, time, weakref
from cdk8s_publish.signals import catch_signals
from cdk8s_publish.errors import SignalError

class Value: ...

catch_signals()
value = Value()
reference = weakref.ref(value, lambda _: signal.raise_signal(signal.SIGTERM))
try:
    del value
    time.sleep(10)
except SignalError as error:
    print(error)
"""


def test_signal__inside_a_callback_of_the_interpreter_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", CALLBACK], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Run cancelled by SIGTERM.\n", "")
