"""CLIP's tokenizer: lower-cased byte-pair encoding over the vocabulary of OpenAI's CLIP, without torch.

Ids and rules are those of the published model (github.com/openai/CLIP, simple_tokenizer): 256 byte symbols, the same
with an end-of-word mark, 48,894 merges, start and end of text: 49,408 in all.
"""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

BOS = 49406
EOS = 49407
COMMA = 267

_VOCABULARY_SIZE = 49408
_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_MERGES_FILE = Path(__file__).with_name("clip_bpe.txt.gz")
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class ClipTokenizer:
    """Text to CLIP's token ids; no special tokens are added, nothing is cut off."""

    def __init__(self, merges: list[tuple[str, str]]) -> None:
        self._tokenizer = Tokenizer(
            BPE(
                vocab=vocabulary(merges),
                merges=merges,
                continuing_subword_prefix="",
                end_of_word_suffix=_WORD_END,
                unk_token=_END,
            )
        )
        self._tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        # Typed out in a prompt they are the special tokens themselves.
        special = [AddedToken(text, special=True, normalized=False) for text in (_END, _START)]
        self._tokenizer.add_special_tokens(special)  # pyright: ignore[reportUnknownMemberType]

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[int]]:
        """Token ids and, for each, the offset of its first character in `text`."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return encoded.ids, [start for start, _ in encoded.offsets]


def read_merges() -> list[tuple[str, str]]:
    """The pairs that are joined, most urgent first, from the vocabulary file beside this module."""
    count = _VOCABULARY_SIZE - 2 * 256 - 2
    with gzip.open(_MERGES_FILE, "rt", encoding="utf-8") as lines:
        pairs = (line.split() for line in itertools.islice(lines, 1, count + 1))
        return [(first, second) for first, second in pairs]


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Symbol to id."""
    symbols = _byte_symbols()
    words = [*symbols, *(s + _WORD_END for s in symbols), *(a + b for a, b in merges), _START, _END]
    return {word: number for number, word in enumerate(words)}


def _byte_symbols() -> list[str]:
    """One printable character a byte, in the order of CLIP's ids: printable Latin-1 first, then U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(code) for code in (*printable, *range(0x100, 0x100 + 256 - len(printable)))]


def load_tokenizer() -> ClipTokenizer:
    """A new tokenizer from the vocabulary file (a fraction of a second; keep it)."""
    return ClipTokenizer(read_merges())
