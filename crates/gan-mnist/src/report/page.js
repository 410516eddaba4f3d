(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);

  // The index of the number in a sorted list that is nearest to x.
  const nearest = (list, x) => {
    let low = 0, high = list.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (list[middle] < x) low = middle; else high = middle;
    }
    return Math.abs(list[low] - x) <= Math.abs(list[high] - x) ? low : high;
  };
  const text = (x) => Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(3) : String(+x.toPrecision(4));
  const element = (tag, content, name) => {
    const made = document.createElement(tag);
    if (content !== undefined) made.textContent = content;
    if (name) made.className = name;
    return made;
  };

  for (const plot of document.querySelectorAll('.plot')) {
    const chart = data.charts[Number(plot.dataset.chart)];
    const cursor = plot.querySelector('.cursor'), tip = plot.querySelector('.tip');
    const longest = chart.series.reduce((a, b) => (b.x.length > a.x.length ? b : a));
    let at = longest.x.length - 1;
    const show = () => {
      const step = longest.x[at], share = step / chart.max;
      tip.replaceChildren(element('b', 'step ' + step));
      for (const series of chart.series) {
        const k = nearest(series.x, step);
        const line = element('div');
        line.append(element('i', undefined, 's' + series.colour), series.name + ' ' + text(series.y[k]));
        if (series.raw) line.append(element('em', ' (raw ' + text(series.raw[k]) + ')'));
        tip.append(line);
      }
      cursor.style.left = 100 * share + '%';
      tip.style.left = share < 0.5 ? 'calc(' + 100 * share + '% + .5rem)' : '';
      tip.style.right = share < 0.5 ? '' : 'calc(' + 100 * (1 - share) + '% + .5rem)';
      cursor.hidden = tip.hidden = false;
    };
    const hide = () => { cursor.hidden = tip.hidden = true; };
    const point = (event) => {
      const box = plot.getBoundingClientRect();
      at = nearest(longest.x, (event.clientX - box.left) / box.width * chart.max);
      show();
    };
    plot.addEventListener('pointermove', point);
    plot.addEventListener('pointerdown', point);
    plot.addEventListener('pointerleave', hide);
    plot.addEventListener('focus', () => { if (plot.matches(':focus-visible')) show(); });
    plot.addEventListener('blur', hide);
    plot.addEventListener('keydown', (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      at = Math.min(longest.x.length - 1, Math.max(0, at + by));
      show();
    });
  }

  const time = document.getElementById('time'), play = document.getElementById('play');
  if (time) {
    const set = () => {
      const share = Number(time.value) / Number(time.max);
      data.grids.forEach((grid, k) => {
        const frame = Math.round(share * (grid.steps.length - 1));
        document.querySelector('[data-grid="' + k + '"]').src = grid.images[frame];
        document.querySelector('[data-step="' + k + '"]').textContent = 'step ' + grid.steps[frame];
      });
      time.setAttribute('aria-valuetext', data.grids.map((grid) => 'step ' + grid.steps[Math.round(share * (grid.steps.length - 1))]).join(', '));
    };
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; play.textContent = 'Play'; };
    time.addEventListener('input', () => { stop(); set(); });
    play.addEventListener('click', () => {
      if (timer) return stop();
      if (time.value === time.max) time.value = 0;
      set();
      play.textContent = 'Pause';
      timer = setInterval(() => {
        time.value = Number(time.value) + 1;
        set();
        if (time.value === time.max) stop();
      }, 400);
    });
    set();
  }
})();
