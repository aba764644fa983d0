"""The sentences that the program shows, gathered from its sources for translators: `python -m tools.words`."""
