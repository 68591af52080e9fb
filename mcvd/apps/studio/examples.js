const list = element.querySelector('.examples');
const draw = () => list.replaceChildren(...(props.cards || []).map(({ picture, question }, number) => {
    const card = document.createElement('button'), image = document.createElement('img');
    const words = document.createElement('span');
    card.type = 'button';
    image.src = picture; image.alt = '';
    words.textContent = question;
    card.append(image, words);
    card.addEventListener('click', () => {
        for (const each of list.children) each.setAttribute('aria-pressed', each === card);
        trigger('pick', { number });
    });
    return card;
}));
watch('cards', draw);
draw();
