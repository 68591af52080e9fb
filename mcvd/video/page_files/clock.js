// One clock for all videos of a page: what is seen shows the same moment, playing, stepping and wiping together.
// Without this script videos loop by themselves; nothing else is lost but the controls.
(() => {
  'use strict';
  const LOADED_AT_ONCE = 24;  // players: a browser has few of them
  const less_motion = matchMedia('(prefers-reduced-motion: reduce)').matches;

  function start(root) {
    root.dataset.clock = '';
    root.classList.add('ready');
    openLarge(root);
    showGenerated(root);
    const bar = root.querySelector('.clock');
    if (!bar) return;
    const [play, time, shown] = ['[data-do=play]', '.time', 'output'].map((each) => bar.querySelector(each));
    const wipe = bar.querySelector('.wipe');
    const clips = [...root.querySelectorAll('video')].map((video) => clipOf(video));
    const cursors = [...root.querySelectorAll('.cursor')], heads = [...root.querySelectorAll('.strip th[scope=col]')];
    const first = +bar.dataset.first;
    let playing = !less_motion, speed = 1, seconds = 0, before = null, frame = -1;

    function clipOf(video) {
      const file = { fps: +video.dataset.fps || 10, frames: +video.dataset.frames };
      video.autoplay = video.controls = false;
      return { video, ...file, source: video.src, seen: false, under: null };
    }
    const seen = () => clips.filter((clip) => clip.seen && clip.frames);
    const fps = () => Math.max(...(seen().length ? seen() : clips).map((clip) => clip.fps));
    const length = () => Math.max(1 / fps(), ...seen().map((clip) => clip.frames / clip.fps));

    // What is seen is loaded; of many videos those that are not are let go again.
    const watcher = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes)
        for (const clip of clips.filter(({ video }) => video.closest('.screen') === target)) {
          clip.seen = isIntersecting;
          if (isIntersecting) {
            if (!clip.video.src) clip.video.src = clip.source;
            clip.video.preload = 'auto';
          } else {
            clip.video.pause();
            if (clips.length > LOADED_AT_ONCE) { clip.video.removeAttribute('src'); clip.video.load(); }
          }
        }
      bar.classList.toggle('idle', !seen().length);
      frame = -1;
      follow();
    }, { rootMargin: '150px' });
    root.querySelectorAll('.screen').forEach((screen) => watcher.observe(screen));

    function follow() {
      if (seconds >= length()) seconds %= length();
      for (const clip of seen()) {
        const { video } = clip, lasts = clip.frames / clip.fps, inside = seconds % lasts;
        if (playing) {
          video.playbackRate = speed;
          if (video.paused) video.play().catch(() => {});
          const off = Math.abs(video.currentTime - inside);
          if (Math.min(off, lasts - off) > Math.max(0.7 / clip.fps, 0.12) && !video.seeking) video.currentTime = inside;
        } else {
          if (!video.paused) video.pause();
          const middle = (Math.floor(inside * clip.fps + 1e-6) + 0.5) / clip.fps;
          if (Math.abs(video.currentTime - middle) > 0.01) video.currentTime = middle;
        }
      }
      const now = Math.floor(seconds * fps() + 1e-6);
      if (now !== frame) tell(now);
    }
    function tell(now) {
      frame = now;
      const count = Math.round(length() * fps());
      time.max = count - 1;
      time.value = now;
      shown.textContent = `frame ${first + now}`;
      time.setAttribute('aria-valuetext', shown.textContent);
      root.dataset.frame = now;
      for (const cursor of cursors) {
        const { at, step, values } = cursor.dataset, place = now - at, inside = place >= 0 && place < +values;
        cursor.style.opacity = inside ? 0.55 : 0;
        cursor.style.transform = `translateX(${place * step}px)`;
      }
      for (const head of heads) head.classList.toggle('now', +head.textContent === first + now);
    }
    function tick(moment) {
      if (!root.isConnected) return watcher.disconnect();
      if (playing && before !== null) {
        seconds += Math.min(0.25, (moment - before) / 1000) * speed;
        follow();
      }
      before = moment;
      requestAnimationFrame(tick);
    }
    function setPlaying(value) {
      playing = value;
      root.classList.toggle('playing', playing);
      play.setAttribute('aria-label', playing ? 'Pause' : 'Play');
      follow();
    }
    function go(number) {
      const count = Math.round(length() * fps());
      seconds = (((number % count) + count) % count + 0.001) / fps();
      setPlaying(false);
    }

    const actions = { play: () => setPlaying(!playing), back: () => go(frame - 1), on: () => go(frame + 1) };
    bar.addEventListener('click', (event) => actions[event.target.closest('button')?.dataset.do]?.());
    time.addEventListener('input', () => go(+time.value));
    bar.querySelector('select').addEventListener('change', (event) => { speed = +event.target.value; });
    const keys = { ' ': actions.play, k: actions.play, ArrowLeft: actions.back, ArrowRight: actions.on };
    (root.hasAttribute('data-whole') ? document : root).addEventListener('keydown', (event) => {
      if (event.target.closest?.('input, select, button, a, dialog, .scroll') || event.ctrlKey || event.metaKey) return;
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    });

    // The wipe: the ground truth lies over the left part of each sample that stands after it.
    const truthOf = (clip) => {
      if (clip.video.closest('figure')?.dataset.role !== 'sample') return null;
      for (let other = clip.video.closest('figure').previousElementSibling; other; other = other.previousElementSibling)
        if (other.dataset.role === 'truth') {
          const truth = clips.find(({ video }) => other.contains(video));
          return truth && truth.frames === clip.frames ? truth : null;
        }
      return null;
    };
    const pairs = clips.map((clip) => [clip, truthOf(clip)]).filter(([, truth]) => truth);
    wipe.hidden = !pairs.length;
    const [covering, ...others] = new Set(pairs.map(([, truth]) => truth.video.getAttribute('aria-label')));
    if (covering && !others.length) {
      wipe.querySelector('span').textContent = covering;
      wipe.querySelector('input').setAttribute('aria-label', `Wipe: how much of each sample is covered from the left: ${covering}`);
    }
    function setWipe(percent) {
      if (percent > 0 && !root.querySelector('.over'))
        for (const [clip, truth] of pairs) {
          const over = truth.video.cloneNode();
          over.src = clip.seen ? truth.source : '';
          if (!clip.seen) over.removeAttribute('src');
          over.className = 'over';
          over.autoplay = over.controls = false;
          over.setAttribute('aria-hidden', 'true');
          clip.video.closest('.screen').append(over);
          clip.video.closest('.screen').classList.add('covered');
          clips.push({ ...truth, video: over, seen: clip.seen });
        }
      root.classList.toggle('wiping', percent > 0);
      root.style.setProperty('--wipe', `${percent}%`);
      wipe.querySelector('input').value = percent;
      follow();
    }
    wipe.addEventListener('input', (event) => setWipe(+event.target.value));
    root.addEventListener('pointermove', (event) => {
      const screen = event.target.closest?.('.covered');
      if (!screen || !root.classList.contains('wiping') || !(event.buttons & 1)) return;
      const box = screen.getBoundingClientRect();
      setWipe(Math.round(100 * Math.min(1, Math.max(0.01, (event.clientX - box.left) / box.width))));
    });

    bar.hidden = false;
    setPlaying(playing);
    requestAnimationFrame(tick);
  }

  // A strip that is wider than its place begins where frames are generated.
  function showGenerated(root) {
    for (const table of root.querySelectorAll('.strip')) {
      const cell = table.querySelector('img.generated')?.closest('td'), place = table.parentElement;
      if (cell && cell.offsetLeft + cell.offsetWidth > place.clientWidth)
        place.scrollLeft = cell.offsetLeft + cell.offsetWidth - 0.7 * place.clientWidth;
    }
  }

  // A click on a frame of a strip opens it large, beside the same frame of the other rows.
  function openLarge(root) {
    let dialog = null, strip = null, column = 0;
    const columns = () => strip.rows[0].cells.length - 1;
    const button = (text, label, act) => {
      const made = document.createElement('button');
      made.type = 'button';
      made.textContent = text;
      made.setAttribute('aria-label', label);
      made.addEventListener('click', act);
      return made;
    };
    const turn = (by) => { column = (column + by + columns()) % columns(); fill(); };
    function fill() {
      dialog.querySelector('b').textContent = `frame ${strip.rows[0].cells[column + 1].textContent}`;
      dialog.querySelector('div').replaceChildren(...[...strip.rows].slice(1).flatMap((row) => {
        const picture = row.cells[column + 1]?.querySelector('img');
        if (!picture) return [];
        const figure = document.createElement('figure'), words = document.createElement('figcaption');
        words.append(...[...row.cells[0].childNodes].map((node) => node.cloneNode(true)));
        figure.append(picture.cloneNode(), words);
        return [figure];
      }));
    }
    function open(table, place) {
      strip = table;
      column = place;
      if (!dialog) {
        dialog = document.createElement('dialog');
        dialog.className = 'large';
        dialog.setAttribute('aria-label', 'frames, large');
        const head = document.createElement('header');
        head.append(document.createElement('b'), button('\u2039', 'Frame before', () => turn(-1)),
          button('\u203a', 'Frame after', () => turn(1)), button('\u00d7', 'Close', () => dialog.close()));
        dialog.append(head, document.createElement('div'));
        dialog.addEventListener('keydown', (event) => {
          const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
          if (by) { event.preventDefault(); turn(by); }
        });
        dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
        root.append(dialog);
      }
      fill();
      dialog.showModal();
    }
    root.addEventListener('click', (event) => {
      const table = event.target.closest?.('.strip');
      if (table && event.target.matches('.enlarge')) open(table, Math.max(0, (table.querySelector('.now')?.cellIndex ?? 1) - 1));
      else if (table && event.target.matches('img')) open(table, event.target.closest('td').cellIndex - 1);
    });
    root.querySelectorAll('.enlarge').forEach((each) => { each.hidden = false; });
  }

  document.querySelectorAll('.mcvd:not([data-clock])').forEach(start);
})();
