// Numbers as people read them: a number and its unit, never more than four
// digits of the number where it is measured.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

function short(x) {
  return Math.abs(x) < 9.95 && x !== 0 ? x.toFixed(1)
    : whole.format(Math.round(x));
}

/** Of steps `[size, unit]`, smallest first, the largest that fits. */
function scaled(x, steps) {
  let i = 0;
  while (i + 1 < steps.length && Math.abs(x) >= steps[i + 1][0])
    ++i;
  // A part of the smallest step is none.
  return [i || steps[0][1] === '' ? short(x / steps[i][0])
    : whole.format(Math.round(x)), steps[i][1]];
}

const sizes = [[1, 'B'], [1024, 'KiB'], [1024 ** 2, 'MiB'], [1024 ** 3, 'GiB'],
  [1024 ** 4, 'TiB']];
const magnitudes = [[1, ''], [1e3, 'k'], [1e6, 'M'], [1e9, 'G']];

/** How a value of some kind is shown: `[number, unit]`. */
export const kinds = {
  count: (x) => [whole.format(x), ''],
  id: (x) => [x ? String(x) : '-', ''],
  index: (x) => [String(x), ''],
  bytes: (x) => scaled(x, sizes),
  /** Milliseconds; -1: never. */
  ms(x) {
    if (x < 0)
      return ['never', ''];
    if (x < 1000)
      return [whole.format(x), 'ms'];
    return kinds.us(x * 1000);
  },
  us(x) {
    if (x < 1000)
      return [whole.format(x), 'µs'];
    if (x < 1e6)
      return [short(x / 1e3), 'ms'];
    if (x < 60e6)
      return [(x / 1e6).toFixed(x < 9.95e6 ? 2 : 1), 's'];
    if (x < 3600e6)
      return [short(x / 60e6), 'min'];
    if (x < 86_400e6)
      return [short(x / 3600e6), 'h'];
    return [short(x / 86_400e6), 'd'];
  },
  rate(x) {
    if (x === null || x === undefined)
      return ['', ''];
    const [text, unit] = x < 10 ? [short(x), ''] : x < 10_000
      ? [whole.format(x), ''] : scaled(x, magnitudes);
    return [text, `${unit}/s`];
  },
  byteRate(x) {
    if (x === null || x === undefined)
      return ['', ''];
    const [text, unit] = scaled(x, sizes);
    return [text, `${unit}/s`];
  },
  percent: (x) => (x === null || x === undefined ? ['', '']
    : [x < 9.95 ? x.toFixed(1) : whole.format(x), '%']),
  flag: (x) => [x ? 'yes' : '', ''],
  /** A time of the day, of today as far as anybody cares. */
  at: (x) => [x ? clockOf(x) : '-', ''],
};

/** Both in one text. */
export function say(kind, x) {
  const [text, unit] = kinds[kind](x);
  return unit ? `${text} ${unit}` : text;
}

const two = (x) => String(x).padStart(2, '0');

export function clockOf(ms, fine = false) {
  const t = new Date(ms);
  const text = [t.getHours(), t.getMinutes(), t.getSeconds()].map(two).join(':');
  return fine ? `${text}.${String(t.getMilliseconds()).padStart(3, '0')}` : text;
}

/** How bad it is to be so late: a class, or nothing. */
export function lateness(ms) {
  return ms >= 5000 ? 'bad' : ms >= 1000 ? 'warn' : '';
}
