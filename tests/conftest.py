"""For all tests: libraries call nobody, as in the program itself, and what is started can be interrupted."""

from __future__ import annotations

import os
import signal

from modules.bootstrap import NO_CALLS_HOME

os.environ.update(NO_CALLS_HOME)

# A shell starts what it runs in the background with Ctrl+C switched off, and every program below inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
