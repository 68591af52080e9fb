"""The configs that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from mcvd.runtime.suggest import did_you_mean

CONFIGS = Path(__file__).parents[1] / "configs"
DEFAULT_CONFIG, FINE_TUNE = "small", "fine-tune"


def config_names() -> list[str]:
    """Names of the configs that come with the package, such as ``small`` and ``published/kth``."""
    return sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The file of a config: a path, or the name of one that comes with the package.

    Raises:
        FileNotFoundError: there is neither; the message says which there are.

    Examples:
        >>> find_config("small").name
        'small.yaml'
    """
    if Path(name).is_file():
        return Path(name)
    known, plain = config_names(), name.removesuffix(".yaml").removeprefix("configs/")
    if plain in known:
        return CONFIGS / f"{plain}.yaml"
    few = ", ".join([*(each for each in known if "/" not in each), "published/..."])
    raise FileNotFoundError(
        f"--config {name}: no such file, and no config of mcvd has this name"
        + (did_you_mean(plain, known) or f"; there are {few}")
    )
