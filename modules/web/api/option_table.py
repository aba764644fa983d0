"""A1111's option keys, and what each one is here. The parameters themselves are declared in `schema`."""

from __future__ import annotations

from typing import Any

from modules.schema.parts import PARTS

CHECKPOINT = "sd_model_checkpoint"

REQUEST_OPTIONS: dict[str, str] = {
    "sd_vae": "vae",
    "CLIP_stop_at_last_layers": "clip_skip",
    "eta_noise_seed_delta": "ensd",
    "emphasis": "emphasis",
    "randn_source": "rng",
    "comma_padding_backtrack": "comma_padding_backtrack",
    "pad_cond_uncond": "pad_cond_uncond",
    "s_min_uncond": "s_min_uncond",
    "s_min_uncond_all": "s_min_uncond_all",
    "skip_early_cond": "skip_early_cond",
    "eta_ddim": "eta_ddim",
    "eta_ancestral": "eta",
    "s_churn": "s_churn",
    "s_tmin": "s_tmin",
    "s_tmax": "s_tmax",
    "s_noise": "s_noise",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "rho": "rho",
    "beta_dist_alpha": "beta_alpha",
    "beta_dist_beta": "beta_beta",
    "always_discard_next_to_last_sigma": "discard_penultimate",
    "sgm_noise_multiplier": "sgm_noise_multiplier",
    "enable_quantization": "enable_quantization",
    "uni_pc_variant": "unipc_variant",
    "uni_pc_skip_type": "unipc_skip_type",
    "uni_pc_order": "unipc_order",
    "uni_pc_lower_order_final": "unipc_lower_order_final",
    "sd_noise_schedule": "noise_schedule",
    "use_downcasted_alpha_bar": "downcast_alphas_cumprod",
    "tiling": "tiling",
    "code_former_weight": "codeformer_weight",
}
"""Options that are parameters of a request: their value is used where a request of A1111's API does not give one."""

OWN_DEFAULTS: dict[str, Any] = {"eta_ancestral": 1.0}
"""Where the option's default is spelt differently from the parameter's."""

SETTING_OPTIONS: dict[str, str] = {
    "samples_save": "samples_save",
    "save_to_dirs": "save_to_dirs",
    "directories_filename_pattern": "directories_filename_pattern",
    "samples_filename_pattern": "samples_filename_pattern",
    "samples_format": "samples_format",
    "jpeg_quality": "jpeg_quality",
    "save_txt": "save_txt",
    "enable_pnginfo": "write_infotext",
    "live_previews_enable": "previews",
    "sd_checkpoints_limit": "checkpoints_in_ram",
    "dataset_filename_word_regex": "dataset_filename_word_regex",
    "dataset_filename_join_string": "dataset_filename_join_string",
    "api_enable_requests": "api_enable_requests",
    "interrogate_clip_num_beams": "interrogate_clip_num_beams",
    "interrogate_clip_min_length": "interrogate_clip_min_length",
    "interrogate_clip_max_length": "interrogate_clip_max_length",
    "interrogate_deepbooru_score_threshold": "interrogate_deepbooru_score_threshold",
    "deepbooru_sort_alpha": "deepbooru_sort_alpha",
    "deepbooru_use_spaces": "deepbooru_use_spaces",
    "deepbooru_escape": "deepbooru_escape",
    "deepbooru_filter_tags": "deepbooru_filter_tags",
    "interrogate_return_ranks": "interrogate_return_ranks",
}
"""Options that are settings of the whole program."""

OF_ONE_REQUEST = ("samples_save",)
"""Options that are settings, and can still be another one for a single request."""

SPELLINGS: dict[str, dict[Any, Any]] = {"samples_format": {"jpg": "jpeg"}}
"""Values that A1111 spells differently, by option."""

PART_OPTIONS: dict[str, tuple[str, str]] = {
    "img2img_fix_steps": ("image", "exact_steps"),
    "initial_noise_multiplier": ("image", "noise_multiplier"),
    "img2img_extra_noise": ("image", "extra_noise"),
    "img2img_color_correction": ("image", "color_correction"),
    "img2img_background_color": ("image", "background_color"),
    "upscaler_for_img2img": ("image", "upscaler"),
    "inpainting_mask_weight": ("inpaint", "mask_weight"),
    "overlay_inpaint": ("inpaint", "keep_unmasked"),
    "refiner_switch_by_sample_steps": ("refiner", "by_steps"),
    "hires_fix_refiner_pass": ("refiner", "with_hires"),
}
"""Options that are parameters of a request's part, by part and field."""

STORED_OPTIONS: dict[str, Any] = {
    **{key: PARTS[part].model_fields[field].default for key, (part, field) in PART_OPTIONS.items()},
    "face_restoration": False,
    "face_restoration_model": "CodeFormer",
    "return_grid": True,
    "grid_prevent_empty_spots": False,
    "n_rows": -1,
    "send_seed": True,
}
"""Options of requests' parts, of the API itself and of the page, kept in the options file, with their defaults."""

RESTRICTED = "api_"
"""Options whose names begin so are never changed over the API; A1111 says nothing of it, and neither do we."""

FIXED_OPTIONS: dict[str, Any] = {
    "api_forbid_local_requests": True,
    "api_useragent": "",
    "grid_save": False,
    "upcast_attn": False,
    "cross_attention_optimization": "Automatic",
    "sdxl_crop_top": 0,
    "sdxl_crop_left": 0,
    "sdxl_clip_l_skip": False,
    "sd_lora": "None",
    "lora_functional": False,
    "lora_preferred_name": "Alias from file",
    "token_merging_ratio": 0.0,
    "token_merging_ratio_img2img": 0.0,
    "token_merging_ratio_hr": 0.0,
    "pad_cond_uncond_v0": False,
    "batch_cond_uncond": True,
    "persistent_cond_cache": True,
    "use_old_emphasis_implementation": False,
    "use_old_karras_scheduler_sigmas": False,
    "use_old_scheduling": False,
    "no_dpmpp_sde_batch_determinism": False,
    "use_old_hires_fix_width_height": False,
    "hires_fix_use_firstpass_conds": False,
    "sd_vae_encode_method": "Full",
    "sd_vae_decode_method": "Full",
    "fp8_storage": "Disable",
    "cache_fp16_weight": False,
}
"""Options that have one value here, A1111's name for what this program does; asking for another is an error."""
