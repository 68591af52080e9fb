"""The film strip on which a visitor marks frames: pictures, style and behaviour in the browser."""

from __future__ import annotations

import base64
from collections.abc import Collection
from io import BytesIO

from torch import Tensor

from mcvd.video.page_style import CONTEXT, GENERATED

_PICTURE_PIXELS = 72  # height in the browser

# The frames are drawn anew only when the video changes, so that the strip stays where it was scrolled to.
BEHAVIOUR = """
const film = element.querySelector('.film');
let from = null, to = null;
const cells = () => [...film.children];
const marked = () => [Math.min(from, to), Math.max(from, to) + 1];
const cellAt = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest('.film button');
const show = () => {
    const [start, stop] = from === null ? [-1, -1] : marked();
    cells().forEach((cell, i) => cell.classList.toggle('marking', start <= i && i < stop));
};
const colour = () => cells().forEach((cell, i) => {
    const kind = (props.kinds || '')[i] || '-';
    cell.className = {c: 'context', g: 'generated'}[kind] || '';
    cell.setAttribute('aria-label', `frame ${i}` + (cell.className ? `, ${cell.className}` : ''));
});
const draw = () => {
    film.replaceChildren(...(props.frames || []).map((uri, i) => {
        const cell = document.createElement('button');
        cell.type = 'button';
        const picture = document.createElement('img');
        picture.src = uri; picture.alt = ''; picture.draggable = false;
        const number = document.createElement('span');
        number.textContent = i;
        cell.append(picture, number);
        return cell;
    }));
    colour();
};
// Marks that the server has placed may lie outside of what is seen.
const reveal = () => {
    const cell = film.querySelector('.context') || film.querySelector('.generated');
    const left = cell ? cell.offsetLeft - film.offsetLeft : 0;
    if (left < film.scrollLeft || left > film.scrollLeft + film.clientWidth - 400)
        film.scrollLeft = left - film.clientWidth / 3;
};
const finish = () => {
    if (from === null) return;
    const [start, stop] = marked();
    from = to = null;
    show();
    trigger('mark', {start, stop});
};
film.addEventListener('pointerdown', (event) => {
    const cell = cellAt(event);
    if (!cell || event.button) return;
    event.preventDefault();
    cell.focus();
    const place = cells().indexOf(cell);
    if (event.shiftKey && props.anchor != null) { from = props.anchor; to = place; finish(); return; }
    props.anchor = from = to = place;
    show();
});
document.addEventListener('pointermove', (event) => {
    if (from === null) return;
    const cell = cellAt(event);
    if (cell) { to = cells().indexOf(cell); show(); }
    const box = film.getBoundingClientRect();
    if (event.clientX > box.right - 30) film.scrollLeft += 12;
    if (event.clientX < box.left + 30) film.scrollLeft -= 12;
});
document.addEventListener('pointerup', finish);
film.addEventListener('keydown', (event) => {
    const place = cells().indexOf(document.activeElement);
    if (place < 0) return;
    if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
        cells()[place + (event.key === 'ArrowRight' ? 1 : -1)]?.focus();
        event.preventDefault();
    } else if (event.key === 'Enter' || event.key === ' ') {
        from = event.shiftKey && props.anchor != null ? props.anchor : place;
        to = place;
        if (!event.shiftKey) props.anchor = place;
        event.preventDefault();
        finish();
    }
});
watch('frames', draw);
watch('kinds', () => { colour(); reveal(); });
draw();
"""

TEMPLATE = '<div class="film" role="group" aria-label="film strip: drag over frames to mark them"></div>'

STYLE = f"""
.film {{ display: flex; contain: inline-size; gap: 3px; overflow-x: auto; padding: 8px 4px;
  min-height: {_PICTURE_PIXELS + 44}px; touch-action: pan-x; user-select: none;
  border-radius: 8px; background: var(--background-fill-secondary); }}
.film:empty::after {{ content: "The frames of the video will be here."; margin: auto;
  color: var(--body-text-color-subdued); }}
.film button {{ flex: none; padding: 3px; border: 0; border-radius: 6px; background: transparent; cursor: col-resize;
  text-align: center; font-variant-numeric: tabular-nums; }}
.film img {{ display: block; height: {_PICTURE_PIXELS}px; border-radius: 4px; image-rendering: pixelated;
  opacity: .8; pointer-events: none; }}
.film span {{ font-size: 11px; color: var(--body-text-color-subdued); }}
.film .context {{ background: {CONTEXT}; }}
.film .generated {{ background: {GENERATED}; }}
.film .context img, .film .generated img {{ opacity: 1; }}
.film .context span, .film .generated span {{ color: #fff; font-weight: 600; }}
.film .marking {{ outline: 2px solid var(--body-text-color); outline-offset: -2px; }}
.film button:focus-visible {{ outline: 2px solid var(--body-text-color); outline-offset: -2px; }}
"""


def pictures(frames: Tensor) -> list[str]:
    """Small pictures of uint8 (T, C, H, W), as data URIs."""
    from PIL import Image

    uris = []
    for frame in frames:
        image = Image.fromarray(frame.permute(1, 2, 0).squeeze(-1).numpy(force=True))
        if image.height > 2 * _PICTURE_PIXELS:
            image.thumbnail((4 * _PICTURE_PIXELS, 2 * _PICTURE_PIXELS))
        file = BytesIO()
        image.save(file, "jpeg", quality=85)
        uris.append(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}")
    return uris


def kinds(num_frames: int, context: Collection[int], generated: range) -> str:
    """One letter for each frame of a video: c context, g to be generated, - neither.

    Examples:
        >>> kinds(6, [1, 2], range(3, 5))
        '-ccgg-'
    """
    return "".join("c" if i in context else "g" if i in generated else "-" for i in range(num_frames))
