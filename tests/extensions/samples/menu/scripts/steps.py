"""Chosen from the menu, in A1111's manner: the same picture with fewer and fewer steps, and all side by side."""

import gradio as gr

import modules.scripts as scripts
from modules.images import image_grid
from modules.processing import Processed, process_images


class FewerSteps(scripts.Script):
    def title(self):
        return "Fewer steps"

    def ui(self, is_img2img):
        return [gr.Slider(minimum=1, maximum=5, step=1, value=2, label="Pictures")]

    def run(self, p, count):
        images, seed = [], p.seed
        for number in range(count):
            p.steps = max(p.steps - number, 1)
            p.seed = seed
            images += process_images(p).images
        return Processed(p, [*images, image_grid(images)], seed)
