// What the process did in the last minutes: the differences between samples of the
// overview. Kept here; the broker keeps no history.

const samplesMax = 600; // ten minutes

export const series = ['at', 'latency_p50_us', 'latency_p99_us', 'latency_max_us',
  'deliveries', 'publications', 'bytes_out', 'bytes_in', 'cpu', 'bytes_queued'];

export class History {
  #last = null;

  /** Columns by name, as long as each other. */
  columns = Object.fromEntries(series.map((x) => [x, []]));

  /** Takes one overview. @returns whether it was a new sample */
  take(row, at) {
    const last = this.#last;
    if (last && at <= last.at)
      return false;
    // Counters that went back are those of another process.
    const same = last && row.started_at === last.row.started_at;
    if (last && !same)
      this.#clear();
    this.#last = { row, at };
    if (!same)
      return true; // nothing to compare with yet
    const span = (at - last.at) / 1000;
    if (span > 5) // nobody looked: no line through the gap
      this.#add({ at: (last.at + 1000) / 1000 });
    const rate = (name) => Math.max(0, row[name] - last.row[name]) / span;
    this.#add({
      at: at / 1000,
      latency_p50_us: row.latency_p50_us,
      latency_p99_us: row.latency_p99_us,
      latency_max_us: row.latency_max_us,
      deliveries: rate('deliveries'),
      publications: rate('publications'),
      bytes_out: rate('bytes_out'),
      bytes_in: rate('bytes_in'),
      cpu: rate('cpu_us') / 1e4,
      bytes_queued: row.bytes_queued,
    });
    return true;
  }

  /** The latest value of a series, or null. */
  last(name) {
    return this.columns[name].at(-1) ?? null;
  }

  #clear() {
    for (const name of series)
      this.columns[name].length = 0;
  }

  #add(values) {
    for (const name of series) {
      const column = this.columns[name];
      column.push(values[name] ?? null);
      if (column.length > samplesMax)
        column.shift();
    }
  }
}
