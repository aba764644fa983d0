"""The program's version, in the one place that code reads it from (pyproject.toml carries the same)."""

VERSION = "0.1.0"
