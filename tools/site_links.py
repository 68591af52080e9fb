"""A hook of MkDocs: what the documentation links to beside its folder, recipes and configs, is in the site as well."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
BESIDE = "repository"  # the folder of the site for what lies beside docs/
_LINK = re.compile(r"(?<=\]\()(?!\w+:|[#/])([^)\s#]+)")
_PICTURES = {".png", ".jpg", ".svg", ".gif"}


def on_files(files: Files, config: Any) -> Files:
    """Add all that is linked to, from pages or from what they link to: a page for each text, pictures as they are."""
    found = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    for origin in found:  # grows
        if not origin.endswith(".md"):
            continue
        for link in _LINK.findall((ROOT / origin).read_text(encoding="utf-8")):
            target = _target(origin, link)
            if not target or target in found or target.startswith("docs/"):
                continue
            found.append(target)
            path = ROOT / target
            if path.suffix in _PICTURES:
                files.append(File.generated(config, _place(target), abs_src_path=str(path)))
                continue
            text = path.read_text(encoding="utf-8")
            if path.suffix != ".md":
                text = f"# {target}\n\n````{path.suffix[1:]}\n{text}\n````\n"
            files.append(File.generated(config, _place(target), content=text, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Links between what lies in docs/ and beside it, as the site has them."""
    uri: str = page.file.src_uri
    origin = uri.removeprefix(f"{BESIDE}/") if uri.startswith(f"{BESIDE}/") else f"docs/{uri}"

    def moved(link: re.Match[str]) -> str:
        target = _target(origin, link[1])
        place = _place(target) if target else ""
        known = files.get_file_from_path(place) is not None
        return posixpath.relpath(place, posixpath.dirname(uri) or ".") if known else link[1]

    return _LINK.sub(moved, markdown)


def _target(origin: str, link: str) -> str | None:
    """The file of the repository that a link in another one leads to; None if there is none.

    Of a folder it is the README, or the page of its name.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    if (ROOT / path).is_dir():
        path = next((each for each in (f"{path}/README.md", f"docs/{path}.md") if (ROOT / each).is_file()), path)
    return path if not path.startswith("..") and (ROOT / path).is_file() else None


def _place(target: str) -> str:
    """Where a file of the repository is among the sources of the site."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    is_kept = Path(target).suffix in {".md", *_PICTURES}
    return f"{BESIDE}/{target}" if is_kept else f"{BESIDE}/{target}.md"
