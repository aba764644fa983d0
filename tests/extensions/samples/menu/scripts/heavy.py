"""A script that cannot run here."""

import torch

from modules import scripts


class Heavy(scripts.Script):
    def title(self):
        return f"Heavy {torch.__version__}"
