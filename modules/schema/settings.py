"""What is not about a picture's pixels: folders, port, saving, previews, memory. Read once at the door.

Order of precedence: command line, then `config.json` in the data folder, then these defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from modules.schema.captioning import OPTIONS, CaptionOptions
from modules.schema.knob import knob
from modules.schema.languages import checked_language, language_choices
from modules.schema.request import Frozen


def _web_address(text: str) -> str:
    """The address without spaces around it; raises ValueError for what is none of the web."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if text and (not usable or any(letter <= " " or letter == "\x7f" for letter in text)):
        raise ValueError("an address that begins with http:// or https://")
    return text


class Settings(CaptionOptions):
    """All settings; folders empty means "below the data folder, with A1111's name"."""

    data_dir: str = knob("", "Data folder", "Holds models, embeddings, outputs; empty is this program's own folder.",
                         section="folders")  # fmt: skip
    models_dir: str = knob("", "Models folder", "Empty is DATA/models.", section="folders")
    ckpt_dir: str = knob("", "Checkpoint folder", "A further folder of checkpoints.", section="folders")
    vae_dir: str = knob("", "VAE folder", "A further folder of VAE files.", section="folders")
    lora_dir: str = knob("", "LoRA folder", "A further folder of LoRA files.", section="folders")
    hypernetwork_dir: str = knob("", "Hypernetwork folder", "A further folder of hypernetworks.", section="folders")
    embeddings_dir: str = knob("", "Embeddings folder", "Empty is DATA/embeddings.", section="folders")
    output_dir: str = knob("", "Outputs folder", "Empty is DATA/outputs.", section="folders")
    ckpt: str = knob("", "Checkpoint", "Checkpoint selected at the start; empty is the last used, else miniature.",
                     section="model")  # fmt: skip
    checkpoints_in_ram: int = knob(2, "Checkpoints kept in RAM", "How many loaded checkpoints are kept.", ge=1, le=20,
                                   step=1, section="model")  # fmt: skip

    server_name: str = knob("127.0.0.1", "Address", "Address to listen on.", section="server")
    port: int = knob(7860, "Port", "Port of the page and the API.", ge=0, le=65535, step=1, section="server")
    tls_certfile: str = knob("", "TLS certificate", "PEM file of the certificate: the page is at https:// then.",
                             section="server")  # fmt: skip
    tls_keyfile: str = knob("", "TLS key", "PEM file of its private key; empty where the certificate's file has it.",
                            section="server")  # fmt: skip
    allowed_hosts: str = knob("", "Further names", "Names under which the page may be opened beside addresses and "
                              "names of the local network, with commas: that of a reverse proxy.",
                              section="server")  # fmt: skip
    cors_allow_origins: str = knob("", "Pages that may use the API", "Origins (https://name:port), with commas, "
                                   "whose scripts may call the API with credentials.", section="server")  # fmt: skip
    cors_allow_origins_regex: str = knob("", "Pages that may, as a pattern", "A regular expression of whole origins.",
                                         section="server")  # fmt: skip
    api: bool = knob(True, "HTTP API", "Serve A1111's HTTP API beside the page.", section="server")
    api_enable_requests: bool = knob(False, "Pictures by address", "Fetch pictures that API requests name by an "
                                     "http(s) address; never from machines of this network.",
                                     section="server")  # fmt: skip
    api_server_stop: bool = knob(False, "Stop over the API", "Let the owner end the program through A1111's "
                                 "/sdapi/v1/server-stop and server-kill.", section="server")  # fmt: skip
    autolaunch: bool = knob(False, "Open a browser", "Open the page in a browser when it is up.", section="server")
    theme: Literal["system", "light", "dark"] = knob("system", "Theme", "Colours of the page.", section="server")
    first_steps: bool = knob(True, "First steps", "A short tour of the page at a person's first visit.",
                             section="server")  # fmt: skip
    language: Annotated[str, AfterValidator(checked_language)] = knob(
        "browser", "Language", "Of the page; browser is what the browser asks for. The API and what is in pictures "
        "stay the same.", section="server", choices=language_choices)  # fmt: skip
    log_level: Literal["debug", "info", "warning", "error"] = knob("info", "Log level", "How much the log says.",
                                                                   section="server")  # fmt: skip

    device: str = knob("auto", "Device", "auto, cpu, cuda, cuda:1, mps.", section="engine")
    gpus: str = knob("", "Graphics cards", "One engine for each, as in 0,1; jobs and large batches are shared out. "
                     "Empty is one engine on the device above.", section="engine")  # fmt: skip
    cluster: str = knob("", "Cluster", "Address of a Ray cluster whose machines draw too; its head, as in "
                        "192.168.0.2:6379. Needs requirements-cluster.txt.", section="engine")  # fmt: skip
    cluster_engines: int = knob(0, "Engines in the cluster", "0 is one for each graphics card of the other machines.",
                                ge=0, le=256, step=1, section="engine")  # fmt: skip
    threads: int = knob(0, "CPU threads", "Threads of each engine; 0 is one a core, shared by engines on the CPU.",
                        ge=0, le=512, step=1, section="engine")  # fmt: skip
    attention: Literal["auto", "sdpa", "xformers"] = knob("auto", "Attention", "Attention kernels; auto is SDPA.",
                                                          section="engine")  # fmt: skip
    retry_lost_jobs: bool = knob(False, "Run lost jobs again",
                                 "When the engine process dies in the middle of a job, run the job once more instead "
                                 "of reporting it failed.", section="engine")  # fmt: skip
    extension_seconds: float = knob(60.0, "Seconds for an extension", "An extension whose stages take longer than "
                                    "this in one job is switched off for the rest of the job.", ge=0.1, le=86400,
                                    step=1, unit="s", section="engine")  # fmt: skip
    resume_training: bool = knob(True, "Go on with trainings",
                                 "A training that was running when the program ended goes on at the next start; "
                                 "otherwise it waits for Resume.", section="engine")  # fmt: skip

    notify: bool = knob(False, "Notification when done", "The browser tells when a picture or a training is done or "
                        "has failed, while the page is out of sight.", section="news")  # fmt: skip
    notify_sound: bool = knob(False, "Sound when done", "A short sound then; notification.mp3 in the data folder "
                              "is played instead where there is one.", section="news")  # fmt: skip
    webhook_url: Annotated[str, AfterValidator(_web_address)] = knob(
        "", "Webhook", "An address that is told when a training has ended or failed: any that takes JSON, or a topic "
        "of ntfy (https://ntfy.sh/your-topic). Empty tells nobody.", section="news",
    )  # fmt: skip
    webhook_events: Literal["trainings", "trainings and failures", "everything"] = knob(
        "trainings", "What it is told", "Ends of trainings; failed jobs of any kind too; or the end of every job.",
        section="news",
    )  # fmt: skip
    webhook_format: Literal["auto", "json", "ntfy"] = knob(
        "auto", "How it is told", "auto is ntfy for ntfy.sh and hosts that begin with ntfy, else JSON.",
        section="news",
    )  # fmt: skip

    previews: bool = knob(True, "Live preview", "Show the picture while it is drawn.", section="preview")
    previews_per_second: float = knob(2.0, "Previews a second", "At most this many.", ge=0.1, le=20, step=0.1,
                                      section="preview")  # fmt: skip

    samples_save: bool = knob(True, "Save pictures", "Save every picture to the outputs folder.", section="saving")
    save_to_dirs: bool = knob(True, "Save to sub-folders", "One sub-folder a day (or by the pattern).",
                              section="saving")  # fmt: skip
    directories_filename_pattern: str = knob("[date]", "Sub-folder pattern", "Tokens in square brackets.",
                                             section="saving")  # fmt: skip
    samples_filename_pattern: str = knob("", "File name pattern", "Empty is [seed].", section="saving")
    filenames_max_length: int = knob(128, "Longest file name", "In characters.", ge=16, le=240, step=1,
                                     section="saving")  # fmt: skip
    samples_format: Literal["png", "jpeg", "webp"] = knob(
        "png", "Picture format", "Format of saved pictures; PNG where a picture or its text is too large for it, "
        "or a script goes on with it.", section="saving")  # fmt: skip
    jpeg_quality: int = knob(80, "Quality", "Of JPEG and WebP.", ge=1, le=100, step=1, section="saving")
    save_txt: bool = knob(False, "Save a text beside each picture", "The parameters in a .txt file of the same name.",
                          section="saving")  # fmt: skip
    trash_days: int = knob(30, "Keep deleted pictures", "In the gallery's trash; 0 keeps them until the next hour.",
                           ge=0, le=3650, step=1, unit="days", section="saving")  # fmt: skip
    thumbnails_mib: int = knob(1024, "Keep the gallery's thumbnails", "When they take more than this, those that "
                               "nobody looked at for longest are made again when they are needed.", ge=16,
                               le=1048576, step=1, unit="MiB", section="saving")  # fmt: skip
    write_infotext: bool = knob(True, "Write parameters into pictures", "A1111's text and our exact JSON.",
                                section="saving")  # fmt: skip

    training_devices: str = knob("", "Cards that learn along", "Further graphics cards of a training whose step has "
                                 "several pictures, as in 1,2; empty is the engine's alone.",
                                 section="training")  # fmt: skip
    dataset_filename_word_regex: str = knob("", "Filename word regex", "What of a picture's file name is "
                                            "its caption; empty is all but leading digits.",
                                            section="training")  # fmt: skip
    dataset_filename_join_string: str = knob(" ", "Filename join string", "Between what the regular expression "
                                             "matches.", section="training")  # fmt: skip

    history_days: int = knob(30, "Keep job history", "Finished jobs are forgotten after this many days.", ge=1,
                             le=3650, step=1, unit="days", section="server")  # fmt: skip
    inputs_gib: float = knob(10.0, "Keep input pictures", "When the pictures that were sent for img2img and Extras "
                             "take more than this, those that were used longest ago are forgotten.", ge=0.1, le=10000,
                             step=0.1, unit="GiB", section="server")  # fmt: skip

    model_gib: float = knob(32.0, "Largest model file", "That is taken by upload or download on the Models page.",
                            ge=0.001, le=100000, step=1, unit="GiB", section="server")  # fmt: skip

    user_queue: int = knob(20, "Jobs in the queue", "How many jobs of one person may wait or run; 0 is no limit. As "
                           "all of these, it is for people who are not the owner.", ge=0, le=100000, step=1,
                           section="limits")  # fmt: skip
    user_size: int = knob(2048, "Longest side", "Of the finished picture; 0 is no limit.", ge=0, le=100000, step=8,
                          unit="px", section="limits")  # fmt: skip
    user_steps: int = knob(150, "Most steps", "Of a picture; 0 is no limit.", ge=0, le=100000, step=1,
                           section="limits")  # fmt: skip
    user_batch: int = knob(8, "Largest batch", "Pictures drawn at the same time; 0 is no limit.", ge=0, le=100000,
                           step=1, section="limits")  # fmt: skip
    user_pictures: int = knob(1000, "Pictures a day", "From midnight on; 0 is no limit.", ge=0, le=10000000, step=1,
                              section="limits")  # fmt: skip
    user_training_steps: int = knob(20000, "Most training steps", "Of a run; 0 is no limit.", ge=0, le=10000000,
                                    step=1, section="limits")  # fmt: skip

    # Not a knob: it must be typed at each start, and a file can not say it.
    no_auth: bool = False


SECTIONS: dict[str, str] = {
    "saving": "Saving pictures",
    "news": "When something is done",
    "preview": "Live preview",
    "model": "Checkpoints",
    "engine": "Engine",
    "training": "Training",
    "captions": "Captions of pictures",
    "limits": "Limits of other people",
    "server": "Server and page",
    "folders": "Folders",
}
"""The settings' sections in the order of their page."""

PERSONAL = ("theme", "language", "previews", "previews_per_second", "notify", "notify_sound", "first_steps")
"""Settings of which each person may have a value of their own; the file says what the others have."""

LIVE = frozenset({
    "theme", "language", "previews", "previews_per_second", "notify", "notify_sound", "first_steps", "webhook_url",
    "webhook_events", "webhook_format", "samples_save", "save_to_dirs", "directories_filename_pattern",
    "samples_filename_pattern", "filenames_max_length", "samples_format", "jpeg_quality", "save_txt",
    "write_infotext", "trash_days", "dataset_filename_word_regex", "dataset_filename_join_string", "history_days",
    "inputs_gib", "model_gib", "api_enable_requests", "api_server_stop", "retry_lost_jobs", "resume_training",
    "user_queue",
    "user_size", "user_steps", "user_batch", "user_pictures", "user_training_steps", *OPTIONS,
})  # fmt: skip
"""Settings that take effect as soon as they are changed; the others do at the next start."""

SECRET = frozenset({"webhook_url"})
"""Settings whose values stay out of logs and reports: an address may have a password in it, or be one."""

NOT_IN_FILE = frozenset({"data_dir"})
"""Settings that decide which file is read, so that it cannot say them."""


class Folders(Frozen):
    """Where things are, from the settings; made by `folders()`."""

    data: Path
    models: Path
    checkpoints: tuple[Path, ...]
    vae: tuple[Path, ...]
    embeddings: Path
    loras: tuple[Path, ...]
    hypernetworks: tuple[Path, ...]
    outputs: Path
    state: Path


def folders(settings: Settings, program: Path) -> Folders:
    """Absolute folders of `settings`; `program` is the folder of webui.py.

    Its embedded checkpoint is always listed, so that an empty data folder draws too.
    """
    data = Path(settings.data_dir).expanduser().resolve() if settings.data_dir else program.resolve()
    models = Path(settings.models_dir).expanduser().resolve() if settings.models_dir else data / "models"

    def further(setting: str) -> list[Path]:
        return [Path(setting).expanduser().resolve()] if setting else []

    embedded = program.resolve() / "models" / "Stable-diffusion"
    return Folders(
        data=data,
        models=models,
        checkpoints=tuple(dict.fromkeys([models / "Stable-diffusion", *further(settings.ckpt_dir), embedded])),
        vae=(models / "VAE", *further(settings.vae_dir)),
        embeddings=(further(settings.embeddings_dir) or [data / "embeddings"])[0],
        # LyCORIS's own folder is where older set-ups keep LoRA's relatives.
        loras=(models / "Lora", models / "LyCORIS", *further(settings.lora_dir)),
        hypernetworks=(models / "hypernetworks", *further(settings.hypernetwork_dir)),
        outputs=Path(settings.output_dir).expanduser().resolve() if settings.output_dir else data / "outputs",
        state=data / "cache",
    )
