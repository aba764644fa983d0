"""The world of drawings that the miniature is trained on: what there is, how it is said, how it looks."""
