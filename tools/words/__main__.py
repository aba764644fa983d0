"""`python -m tools.words` writes locales/en.json anew; `python -m tools.words pt-BR` tells what that language lacks.

In locales/*.json the English text is the key. A value is the translation with the same {placeholders}, in any order;
or, where a number stands in the sentence, an object of plural forms (one, few, many, other: those that the language
has by the Unicode rules). They are chosen by the placeholder {n}, else by the first one, else by the one that a
further entry "by" names.
"""

from __future__ import annotations

import argparse
import json
import sys

from tools.words.catalogue import ENGLISH, LOCALES, complaints, read, write
from tools.words.gather import gathered


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.words", description=__doc__)
    parser.add_argument("language", nargs="?", help="check the file of this language")
    parser.add_argument("--missing", action="store_true", help="only what is missing, as JSON with the places")
    parser.add_argument("--where", metavar="TEXT", help="the files that have texts with TEXT in them")
    parser.add_argument("--tidy", action="store_true", help="bring the language's file into the order of en.json, "
                        "without what is stale")  # fmt: skip
    asked = parser.parse_args()
    found = gathered()
    if asked.where:
        hits = {text: places for text, places in found.items() if asked.where in text}
        return _tell(json.dumps(hits, ensure_ascii=False, indent=1))
    if asked.language is None:
        forms = {text: value for text, value in read(ENGLISH).items() if isinstance(value, dict)}
        write(ENGLISH, {text: forms.get(text, text) for text in found})
        return _tell(f"{ENGLISH.name}: {len(found)} texts")
    path = LOCALES / f"{asked.language}.json"
    words = read(path)
    if asked.tidy:
        write(path, {text: words[text] for text in found if text in words})
        return 0
    if asked.missing:
        return _tell(json.dumps({t: p for t, p in found.items() if t not in words}, ensure_ascii=False, indent=1))
    wrong = complaints(asked.language, words, found)
    return _tell("\n".join(wrong) or f"{path.name} is complete: {len(words)} texts") or bool(wrong)


def _tell(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


sys.exit(main())
