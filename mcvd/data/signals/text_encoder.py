"""Vectors of texts, from a frozen encoder that lies in a folder; it is no part of any model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, overload

import numpy as np
import torch

from mcvd.runtime.error_text import first_line, one_line

_AT_ONCE = 32  # texts
_POOLING = "1_Pooling/config.json"  # how sentence-transformers makes one vector of those of the words


class TextEncoder:
    """A text encoder in a folder as transformers or sentence-transformers writes it, such as all-MiniLM-L6-v2.

    Its vectors are the mean over the words, or that of the first word where the folder asks for it, at unit length.
    No code of the folder is run, and nothing is downloaded.

    Args:
        folder: with config.json, model.safetensors and the tokenizer's files.

    Raises:
        ModuleNotFoundError: transformers is not installed; says how.
        FileNotFoundError: there is no such folder.
        ValueError: what is there is no text encoder that can be read safely.

    Example::

        encode = TextEncoder("all-MiniLM-L6-v2")
        encode("a car turns left").shape        # (384,)
        model.predict(past, 20, signals={"text": encode("a car turns left")})
    """

    def __init__(self, folder: str | Path) -> None:
        transformers = import_transformers()
        if not (Path(folder) / "config.json").is_file():
            raise FileNotFoundError(f"{folder}: no text encoder: expected a folder with config.json")
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            with _without_bars(transformers):
                self.tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **options)
                model = transformers.AutoModel.from_pretrained(str(folder), use_safetensors=True, **options)
            self.of_first_word = _of_first_word(Path(folder) / _POOLING)
        except Exception as error:  # transformers raises types of all kinds for what it cannot read
            raise ValueError(f"{folder}: no text encoder that can be read: {one_line(first_line(error))}") from error
        self.folder = folder
        self.model = (model.get_encoder() if model.config.is_encoder_decoder else model).eval()
        self.most_words = min(self.tokenizer.model_max_length, 512)

    @overload
    def __call__(self, texts: str) -> np.ndarray: ...

    @overload
    def __call__(self, texts: Sequence[str]) -> np.ndarray: ...

    @torch.no_grad()
    def __call__(self, texts: str | Sequence[str]) -> np.ndarray:
        """The vector of a text, float32 (D,), or those of several, (N, D); what is too long is cut off.

        Raises:
            ValueError: a text is empty.
        """
        if isinstance(texts, str):
            vector: np.ndarray = self([texts])[0]
            return vector
        if not all(text.strip() for text in texts):
            raise ValueError("an empty text has no meaning: leave it out, or tell nothing at all")
        parts = [self._encode(list(texts[start : start + _AT_ONCE])) for start in range(0, len(texts), _AT_ONCE)]
        return np.concatenate(parts)

    def _encode(self, texts: list[str]) -> np.ndarray:
        words = self.tokenizer(texts, padding=True, truncation=True, max_length=self.most_words, return_tensors="pt")
        try:
            states = self.model(**words).last_hidden_state.float()  # (N, words, D)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{self.folder}: no encoder of texts alone: {one_line(first_line(error))}") from error
        shown = words["attention_mask"][..., None].float()
        vectors = states[:, 0] if self.of_first_word else (states * shown).sum(1) / shown.sum(1)
        return torch.nn.functional.normalize(vectors, dim=1).numpy()


@lru_cache(maxsize=2)
def text_encoder(folder: str) -> TextEncoder:
    """`TextEncoder` of a folder, opened once in a process."""
    return TextEncoder(folder)


def import_transformers() -> ModuleType:
    """The package, or a message that says how it is installed."""
    try:
        import transformers
    except ImportError:
        raise ModuleNotFoundError("texts need transformers: python -m pip install 'mcvd[text]'") from None
    package: ModuleType = transformers
    return package


@contextmanager
def _without_bars(transformers: ModuleType) -> Iterator[None]:
    """It shows a progress bar even for files that are here."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _of_first_word(config: Path) -> bool:
    if not config.is_file():
        return False
    pooling = json.loads(config.read_text())
    modes = [name for name, value in pooling.items() if name.startswith("pooling_mode") and value is True]
    modes += [f"pooling_mode_{mode}" for mode in [pooling.get("pooling_mode")] if isinstance(mode, str)]
    short = {name.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens") for name in modes}
    if len(short) > 1 or not short <= {"mean", "cls"}:
        raise ValueError(f"of its ways to make one vector only mean and cls are known, got {', '.join(sorted(short))}")
    return short == {"cls"}
