"""Files that prompts call by name: LoRA and hypernetworks by their tags, embeddings by their words."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import Kind, NetworkCatalog, NetworkEntry
from modules.prompts.chunks import EmbeddingMatch
from modules.prompts.embedding_names import EmbeddingNames
from modules.prompts.prompt import count_prompt, parse_prompt
from modules.prompts.tags import NetworkTag
from modules.prompts.tokens import ClipTokenizer, load_tokenizer
from modules.schema.engine import NamedFile
from modules.schema.errors import UnknownName, UserError
from modules.schema.request import GenerationRequest

_KINDS: Mapping[str, Kind] = {"lora": "lora", "lyco": "lora", "hypernet": "hypernet"}
# A prompt that changes with the steps shows all its texts over so many.
_ALL_STEPS = 1000


class _Listener:
    """An `EmbeddingMatcher` that finds nothing, but remembers what names it has seen."""

    def __init__(self, names: EmbeddingNames) -> None:
        self._names = names
        self.seen: set[str] = set()

    def match(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None:
        if position == 0:
            self.seen |= self._names.anywhere(tokens)
        return None


class Named:
    """Looks names of prompts up in the catalogs; new files are seen without a refresh."""

    def __init__(self, networks: NetworkCatalog, embeddings: EmbeddingCatalog) -> None:
        self._networks = networks
        self._embeddings = embeddings
        self._tokenizer: ClipTokenizer | None = None
        self._lock = threading.Lock()
        self._words: tuple[int, EmbeddingNames] | None = None

    def files(self, request: GenerationRequest) -> tuple[NamedFile, ...]:
        """The files that the prompts of `request` name; what nothing answers to is left out (see `problems`)."""
        self._embeddings.refresh_if_changed()
        found: dict[tuple[str, str], NamedFile] = {}
        for tag in _tags(request):
            entry = self._entry(tag)
            if isinstance(entry, NetworkEntry) and not entry.problem:
                name = tag.positional[0].strip()
                found[entry.kind, name] = NamedFile(kind=entry.kind, name=name, path=str(entry.path))
        for word in self._words_in(request):
            path = self._embeddings.find(word).path
            found["embedding", word] = NamedFile(kind="embedding", name=word, path=str(path))
        return tuple(found.values())

    def problems(self, request: GenerationRequest) -> list[str]:
        """A sentence for each network that cannot be used; the pictures are drawn without it."""
        told: dict[str, None] = {}
        for tag in _tags(request):
            entry = self._entry(tag)
            if not isinstance(entry, NetworkEntry):
                told[f"{tag} is left out: {entry}"] = None
            elif entry.problem:
                told[f"{tag} is left out: {entry.problem}"] = None
        return list(told)

    def facts(self, request: GenerationRequest) -> dict[str, Any]:
        """What a picture's text says of its networks: A1111's hashes by the names in the tags."""
        hashes: dict[str, str] = {}
        for tag in _tags(request):
            entry = self._entry(tag)
            if isinstance(entry, NetworkEntry) and entry.kind == "lora" and not entry.problem:
                name = tag.positional[0].strip().replace(":", "").replace(",", "")
                try:
                    hashes[name] = self._networks.short_hash(entry)
                except UserError:
                    continue
        return {"Lora hashes": ", ".join(f"{name}: {digits}" for name, digits in hashes.items())} if hashes else {}

    def tokenizer(self) -> ClipTokenizer:
        """The one tokenizer of this process, loaded when it is first needed."""
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = load_tokenizer()
            return self._tokenizer

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self.tokenizer().encode(text)

    def words(self) -> EmbeddingNames:
        """The names of all usable embeddings, as they are found among tokens."""
        version = self._embeddings.version
        if self._words is None or self._words[0] != version:
            self._words = version, EmbeddingNames(self._embeddings.vectors, self.tokenizer().encode)
        return self._words[1]

    def _entry(self, tag: NetworkTag) -> NetworkEntry | UnknownName:
        """The file of a tag; where nothing answers, the folders are looked through once more."""
        kind, name = _KINDS[tag.kind], tag.positional[0].strip()
        try:
            return self._networks.find(kind, name)
        except UnknownName:
            self._networks.refresh_if_changed()
        try:
            return self._networks.find(kind, name)
        except UnknownName as error:
            return error

    def _words_in(self, request: GenerationRequest) -> list[str]:
        texts = [(text, negative) for text, negative in _texts(request) if text]
        if not texts or not self._embeddings.vectors:
            return []
        listener = _Listener(self.words())
        for text, negative in texts:
            count_prompt(
                text,
                self.tokenizer(),
                negative=negative,
                steps=_ALL_STEPS,
                emphasis=request.emphasis,
                embeddings=listener,
            )
        return sorted(listener.seen)


def _texts(request: GenerationRequest) -> Iterator[tuple[str, bool]]:
    """(prompt, whether it is a negative one) of all passes."""
    yield request.prompt, False
    yield request.negative_prompt, True
    if request.hires is not None:
        yield request.hires.prompt, False
        yield request.hires.negative_prompt, True


def _tags(request: GenerationRequest) -> Iterator[NetworkTag]:
    """The tags of known kinds that name something, of all passes."""
    for text, negative in _texts(request):
        if not negative:
            yield from (tag for tag in parse_prompt(text).tags if tag.kind in _KINDS and tag.positional)
