// The frames are drawn anew only when the video changes, so that the strip stays where it was scrolled to.
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
