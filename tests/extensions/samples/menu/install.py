"""Never run."""

raise SystemExit("install.py was run")
