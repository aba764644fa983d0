"""Always on, in A1111's manner: changes the prompt, the steps and the picture."""

import gradio as gr
from PIL import ImageOps

from modules import script_callbacks, scripts, shared


class Signature(scripts.Script):
    def title(self):
        return "Signature"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with gr.Accordion(self.title(), open=False):
            with gr.Row():
                word = gr.Textbox("signed", label="Word", elem_id=self.elem_id("word"))
                more = gr.Slider(0, 10, 0, step=1, label="More steps")
            turned = gr.Checkbox(False, label="Negative picture")
            kind = gr.Radio(["first", "second"], value="first", type="index", label="Kind")
        return [word, more, turned, kind]

    def process(self, p, word, more, turned, kind):
        p.steps += more
        p.extra_generation_params["Signature kind"] = kind

    def process_batch(self, p, word, more, turned, kind, batch_number, prompts, seeds, subseeds):
        for at in range(len(prompts)):
            prompts[at] = f"{prompts[at]}, {word} {batch_number}"

    def postprocess_image(self, p, pp, word, more, turned, kind):
        if turned:
            pp.image = ImageOps.invert(pp.image)

    def postprocess(self, p, processed, *args):
        shared.opts.data["signature_seen"] = len(processed.images)

    def postprocess_batch(self, p, *args, **kwargs):
        raise AssertionError("it is never called here")


def on_ui_settings():
    section = ("signature", "Signature")
    shared.opts.add_option("signature_ink", shared.OptionInfo("black", "Ink", section=section))
    shared.opts.add_option("signature_seen", shared.OptionInfo(0, "Seen", section=section))


def on_ui_tabs():
    with gr.Blocks(analytics_enabled=False) as tab:
        gr.Markdown("How to sign")
    return [(tab, "Signing", "signing_tab")]


def on_app_started(demo, app):
    @app.get("/signature/ink")
    def ink():
        return {"ink": shared.opts.signature_ink}


script_callbacks.on_ui_settings(on_ui_settings)
script_callbacks.on_ui_tabs(on_ui_tabs)
script_callbacks.on_app_started(on_app_started)
script_callbacks.on_cfg_denoiser(lambda params: None)
