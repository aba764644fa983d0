"""For all tests: libraries call nobody, as in the program itself."""

from __future__ import annotations

import os

from modules.bootstrap import NO_CALLS_HOME

os.environ.update(NO_CALLS_HOME)
