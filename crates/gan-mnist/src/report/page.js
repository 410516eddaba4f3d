(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);

  for (const plot of document.querySelectorAll('.plot')) connectChart(plot, data.charts[Number(plot.dataset.chart)]);

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
