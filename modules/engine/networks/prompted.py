"""What a prompt asks for beside its words: its networks made to act on the model, and the embeddings it may name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.engine.loading.model import LoadedModel
from modules.engine.networks.apply import use_networks
from modules.engine.networks.embeddings import Vocabulary, shelf_of
from modules.engine.networks.network import KINDS, NetworkRef, ref_of
from modules.prompts.tags import NetworkTag
from modules.schema.engine import NamedFile


@dataclass(frozen=True, eq=False)
class Prompted:
    """`key` names all that the text encoder's answers depend on beside the words; `notices` are for the user."""

    vocabulary: Vocabulary
    key: Hashable
    notices: tuple[str, ...]


def use_prompted(
    model: LoadedModel, tags: Sequence[NetworkTag], files: Sequence[NamedFile], encode: Callable[[str], list[int]]
) -> Prompted:
    """Make the networks of `tags` (and no others) act on `model`, and give its words beside its own.

    `files`: what the job has names for; a tag without a file has been told of at the door and is passed over.
    `encode`: the tokenizer. Raises `ModelFileError`.
    """
    paths = {(file.kind, file.name): file.path for file in files}
    refs: list[NetworkRef] = []
    notices: list[str] = []
    for tag in tags:
        kind = KINDS.get(tag.kind)
        path = paths.get((kind, tag.positional[0].strip())) if kind and tag.positional else None
        if path is not None:
            ref, told = ref_of(tag, path)
            refs.append(ref)
            notices += told
    use = use_networks(model, refs)
    embeddings = [(file.name, Path(file.path)) for file in files if file.kind == "embedding"]
    vocabulary = shelf_of(model).vocabulary(embeddings, use.bundled, encode)
    return Prompted(vocabulary, (use.text_key, vocabulary.key), (*notices, *use.notices, *vocabulary.notices))
