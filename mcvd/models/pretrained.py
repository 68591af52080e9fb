"""What any model of ours can do beside its work: be made from a config, loaded, saved and shared."""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self, Unpack

import torch
from torch import nn

from mcvd.models.card import About, model_card
from mcvd.models.config import UNFIT, config_of, foreign_classes, model_from_config
from mcvd.models.facts import ModelFacts
from mcvd.models.files import check_header, read_model, write_folder
from mcvd.runtime.arrays import height_and_width
from mcvd.runtime.named_classes import Trust
from mcvd.runtime.suggest import did_you_mean


class Pretrained(nn.Module, ABC):
    """The verbs of the Hub for a model, which remembers how it was made; to be named before `LightningModule`.

    A model calls `_remember` in its constructor and says what it is in `facts`.
    """

    not_in_config: ClassVar[tuple[str, ...]] = ()  # arguments that only a training needs, chosen anew for each
    not_exported: ClassVar[tuple[str, ...]] = ()  # and those that a checkpoint holds, but an exported folder does not

    _config: dict[str, Any] | None = None
    _arguments_of: type
    _arguments: dict[str, Any]
    _other_arguments: dict[str, Any] | None = None  # as a config: the parser's objects cannot be written down again

    @abstractmethod
    def facts(self) -> ModelFacts:
        """What this model is and what it can do."""

    def _remember(self, cls: type, names: Mapping[str, Any]) -> None:
        """Note the arguments of ``cls``'s constructor, found among its local names."""
        self._arguments_of = cls
        self._arguments = {name: names[name] for name in signature(cls).parameters if name in names}

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make this model, as `from_config` takes them.

        Raises:
            ValueError: one of them cannot be written down; the message names it.
        """
        if self._config is None:
            self._config = self._described()
        return self._config

    @config.setter
    def config(self, config: dict[str, Any]) -> None:
        self._config = config

    def _described(self) -> dict[str, Any]:
        return config_of(self._arguments_of, self._arguments, self.not_in_config, self._other_arguments)

    def trained_config(self) -> dict[str, Any]:
        """The config, with what training has taught the model about its data."""
        return self.config

    @classmethod
    def from_config(cls, config: dict[str, Any], *, trust: Trust = False) -> Self:
        """Make an untrained model from its config; see `mcvd.build`."""
        model = model_from_config(cls, config, cls.not_in_config, trust)
        model.config = config
        return model

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        trust: Trust = False,
        size: int | Sequence[int] | None = None,
    ) -> Self:
        """Open a model that was saved, here or on the Hugging Face Hub; see `mcvd.load`."""
        other = {} if size is None else {"size": list(height_and_width(size))}
        stored = read_model(source, revision)
        if _names_other_files(stored.config):
            raise ValueError(f"{source}: its config names a codec elsewhere (source); a model holds its own")
        try:
            with torch.device("meta"):  # shapes without memory: a config that asks for more than there is is refused
                check_header(cls.from_config(stored.config | other, trust=trust), stored.header, source)
            model = cls.from_config(stored.config | other, trust=trust)
        except ValueError as error:
            reason = str(error) if size is None else str(error).removeprefix(UNFIT)  # what does not fit is the size
            raise error if str(source) in reason else ValueError(f"{source}: {reason}") from error
        model.load_state_dict(stored.weights())
        return model.eval().requires_grad_(False)

    def save_pretrained(self, folder: str | Path, **about: Unpack[About]) -> None:
        """Export to a folder that `from_pretrained` opens: config.json, model.safetensors and a card, README.md.

        Args:
            folder: a new one.
            **about: data, license and scores for the model card; see `About`.

        Raises:
            FileExistsError: the folder holds something already.
            TypeError: the card has no such entry.
            ValueError: the model was made with what cannot be written down, such as a lambda; the message names it.
        """
        self._write(folder, Path(folder).name, about)

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        message: str = "Upload a model of mcvd",
        token: str | None = None,
        **about: Unpack[About],
    ) -> str:
        """Upload to the Hugging Face Hub what `save_pretrained` writes; others then open it by its name.

        Args:
            name: ``owner/name``; made if there is none.
            private: whether a new one is only for its owner; None: as the owner has set.
            revision: branch to write to; None is the main one.
            message: of the commit.
            token: of the Hub; None takes that of ``hf auth login``.
            **about: data, license and scores for the model card; see `About`.

        Returns:
            The commit's identifier: ``mcvd.load(name, revision=...)`` with it always opens these weights.

        Raises:
            huggingface_hub.errors.HfHubHTTPError: the Hub refuses.
        """
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        with TemporaryDirectory() as folder:
            self._write(Path(folder) / "model", name, about)
            try:
                full_name = api.create_repo(name, private=private, exist_ok=True).repo_id
                commit = api.upload_folder(
                    repo_id=full_name, folder_path=Path(folder) / "model", revision=revision, commit_message=message
                )
            except Exception as error:  # of the connection, or of the Hub
                error.add_note(
                    f"{name} was not uploaded: that takes a connection and the token of an account that may write "
                    "there (hf auth login, or token=); save_pretrained writes the same to a folder"
                )
                raise
        return commit.oid

    def _write(self, folder: str | Path, name: str, about: About) -> None:
        known = [*About.__annotations__]
        for key in about:
            if key not in known:
                guess = did_you_mean(key, known, {"licence": "license"})
                raise TypeError(f"a model card has no {key}{guess or '; it has ' + ', '.join(known)}")
        try:
            config = {key: value for key, value in self.trained_config().items() if key not in self.not_exported}
        except ValueError as error:
            raise ValueError(f"this model cannot be saved: {error}") from error
        write_folder(folder, config, self.state_dict(), model_card(self.facts(), name, about))

    # In Lightning's training

    def on_fit_start(self) -> None:
        """Say before the work, not after it, if the model can be opened only with trust, or not be saved at all."""
        if self.trainer.is_global_zero and (note := self._export_warning()):  # type: ignore[union-attr]
            warnings.warn(note, stacklevel=2)

    def _export_warning(self) -> str:
        """What has to be known to keep this model; empty for one that is made of mcvd's classes."""
        try:
            foreign = foreign_classes(self.config)
        except ValueError as error:
            return (
                f"this model cannot be exported, and its checkpoints will hold weights alone: {error}. "
                f"{type(self).__name__}.load_from_checkpoint(path, ...) opens them, given the same arguments again"
            )
        if not foreign:
            return ""
        modules = sorted({path.rpartition(".")[0] for path in foreign})
        files = [getattr(sys.modules.get(module), "__file__", None) or "?" for module in modules]
        places = ", ".join(f"{module} ({file})" for module, file in zip(modules, files, strict=True))
        return (
            f"this model is made of {', '.join(foreign)}: it opens only with trust (mcvd.load(path, trust={modules}) "
            f"or --trust {','.join(modules)}), where Python can import {places}"
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the config beside the weights: a checkpoint says how to make its model."""
        try:
            checkpoint["config"] = self.trained_config()
        except ValueError as error:
            checkpoint["config_error"] = str(error)

    @classmethod
    def load_from_checkpoint(
        cls, checkpoint_path: Any, map_location: Any = None, *, trust: Trust = False, **options: Any
    ) -> Self:
        """Lightning's way to open a checkpoint: as it was saved, in training mode.

        Args:
            checkpoint_path: of a checkpoint of Lightning.
            map_location: where the weights go.
            trust: see `mcvd.load`.
            **options: strict, or arguments of the constructor, which go before those in the checkpoint. Arguments of
                training that are not remembered (``not_in_config``) have to be given again.
        """
        config = torch.load(checkpoint_path, map_location="meta", weights_only=True).get("config")
        saved = {}
        if config is not None:
            with torch.device("meta"):
                saved = cls.from_config(config, trust=trust)._arguments
        model = super().load_from_checkpoint(checkpoint_path, map_location, weights_only=True, **saved | options)  # type: ignore[misc]
        if config is not None:
            model._arguments = {name: value for name, value in options.items() if name in model._arguments}
            model._other_arguments = config
        return model


def _names_other_files(config: dict[str, Any]) -> bool:
    """Whether opening a model of this config would read more than the model's own files."""
    codec = config.get("codec")
    arguments = codec.get("init_args") if isinstance(codec, dict) else None
    return isinstance(arguments, dict) and arguments.get("source") is not None
