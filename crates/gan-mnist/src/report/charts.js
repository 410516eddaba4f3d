// The values of a chart, shown where a pointer or the keyboard is.
'use strict';

// `chart` is what a report says of the chart that is drawn in `plot`. Returns what to call when both have changed.
const connectChart = (() => {
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

  return (plot, chart) => {
    const cursor = plot.querySelector('.cursor'), tip = plot.querySelector('.tip');
    let longest, at;
    const take = (changed) => {
      chart = changed;
      longest = chart.series.reduce((a, b) => (b.x.length > a.x.length ? b : a));
      at = longest.x.length - 1;
    };
    take(chart);
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
    return (changed) => {
      const step = longest.x[at];
      take(changed);
      if (tip.hidden) return;
      at = nearest(longest.x, step);
      show();
    };
  };
})();
