// A temperature chart as SVG, drawn with the same arithmetic as the C side (node/formats/report_chart.c).
import { fixed1, general, time, timeText } from "./html.mjs";

const WIDTH = 720, HEIGHT = 230, LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 34;
const COLUMNS = 660, EXCURSIONS_MAX = 50;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

const byTime = (a, b) => a.ms - b.ms || (a.value < b.value ? -1 : a.value > b.value ? 1 : Number(a.alarm) - Number(b.alarm));

/** Three usual intervals; readings that come together count as one. */
function gapOf(readings) {
  const between = [];
  for (let i = 1; i < readings.length; i++) if (readings[i].ms > readings[i - 1].ms) between.push(readings[i].ms - readings[i - 1].ms);
  between.sort((a, b) => a - b);
  return between.length ? 3 * between[Math.floor(between.length / 2)] : Infinity;
}

function measure(readings) {
  const c = { readings, low: readings[0].value, high: readings[0].value };
  let sum = 0, k = 0;
  for (const { value } of readings) {
    if (value < c.low) c.low = value;
    if (value > c.high) c.high = value;
    sum += value;
  }
  c.mean = sum / readings.length;
  while (k + 1 < STEPS.length && (c.high - c.low) / STEPS[k] > 7) k++;
  c.step = STEPS[k];
  while ((c.high - c.low) / c.step > 12) c.step *= 10;
  c.bottom = Math.floor(c.low / c.step - 0.25) * c.step;
  c.top = Math.ceil(c.high / c.step + 0.25) * c.step;
  c.gap = gapOf(readings);
  c.first = readings[0].ms;
  c.span = readings[readings.length - 1].ms - c.first;
  return c;
}

function xOf(c, ms) {
  const share = c.span > 0 ? (ms - c.first) / c.span : 0.5;
  return LEFT + share * (WIDTH - LEFT - RIGHT);
}

const yOf = (c, value) => TOP + ((c.top - value) / (c.top - c.bottom)) * (HEIGHT - TOP - BOTTOM);

function grid(c) {
  let out = "";
  for (let v = c.bottom; v < c.top + c.step / 2; v += c.step) {
    const y = fixed1(yOf(c, v));
    out += `<line class="grid" x1="${fixed1(LEFT)}" y1="${y}" x2="${fixed1(WIDTH - RIGHT)}" y2="${y}"/>`;
    out += `<text x="${fixed1(LEFT - 6)}" y="${fixed1(yOf(c, v) + 4)}" text-anchor="end">${general(Math.abs(v) < c.step / 4 ? 0 : v)}</text>\n`;
  }
  for (let i = 0; i <= 4; i++) {
    if (c.span === 0 && i !== 2) continue;
    const ms = c.first + Math.trunc(c.span / 4) * i, text = timeText(ms);
    const anchor = c.span === 0 ? "middle" : i === 0 ? "start" : i === 4 ? "end" : "middle";
    out += `<text x="${fixed1(xOf(c, ms))}" y="${fixed1(HEIGHT - 12)}" text-anchor="${anchor}">${text.slice(0, 10)} ${text.slice(11, 16)}</text>\n`;
  }
  return out;
}

/** A line, broken at silences. Of many readings in one column of the picture its lowest and highest are drawn. */
function line(c) {
  const columnOf = (r) => Math.trunc(((xOf(c, r.ms) - LEFT) / (WIDTH - LEFT - RIGHT)) * COLUMNS);
  const at = (r) => `${fixed1(xOf(c, r.ms))},${fixed1(yOf(c, r.value))}`;
  let out = "", open = false, before = 0;
  for (let i = 0; i < c.readings.length; ) {
    const r = c.readings[i], column = columnOf(r);
    let low = r, high = r, k = i;
    for (; k < c.readings.length && columnOf(c.readings[k]) === column; k++) {
      if (c.readings[k].value < low.value) low = c.readings[k];
      if (c.readings[k].value > high.value) high = c.readings[k];
    }
    if (open && r.ms - before > c.gap) {
      out += '"/>\n';
      open = false;
    }
    out += `${open ? " " : '<polyline points="'}${at(low)}${high === low ? "" : ` ${at(high)}`}`;
    open = true;
    before = c.readings[k - 1].ms;
    i = k;
  }
  return out + '"/>\n';
}

function alarms(c) {
  let out = "", last = -10;
  for (const r of c.readings) {
    const x = xOf(c, r.ms);
    if (!r.alarm || x - last < 1.5) continue;
    last = x;
    out += `<circle class="alarm" cx="${fixed1(x)}" cy="${fixed1(yOf(c, r.value))}" r="2.6"/>\n`;
  }
  return out;
}

/** Consecutive readings with an alarm. */
function excursions(c, unit) {
  let out = "", found = 0;
  for (let i = 0; i < c.readings.length; i++) {
    if (!c.readings[i].alarm) continue;
    let k = i, low = c.readings[i].value, high = low;
    for (; k < c.readings.length && c.readings[k].alarm; k++) {
      if (c.readings[k].value < low) low = c.readings[k].value;
      if (c.readings[k].value > high) high = c.readings[k].value;
    }
    if (found === 0) out += '<p class="alarm">The device reported an alarm:</p>\n<ul>\n';
    if (found++ < EXCURSIONS_MAX)
      out += `<li>${time(c.readings[i].ms)} to ${time(c.readings[k - 1].ms)}: ${k - i} readings, ${fixed1(low)} to ${fixed1(high)} ${unit}</li>\n`;
    i = k;
  }
  if (found > EXCURSIONS_MAX) out += `<li>and ${found - EXCURSIONS_MAX} more</li>\n`;
  return found ? out + "</ul>\n" : "";
}

/** readings: [{ms, value, alarm}]; name and unit are HTML; number makes its ids its own on the page. */
export function chart(readings, name, unit, number) {
  if (readings.length < 3)
    return readings.map((r) => `<p>${fixed1(r.value)} ${unit}${r.alarm ? ", with an alarm" : ""}, reported by ${name} at ${time(r.ms)}</p>\n`).join("");
  const c = measure([...readings].sort(byTime)), low = fixed1(c.low), high = fixed1(c.high);
  return (
    `<figure>\n<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="chart${number}" xmlns="http://www.w3.org/2000/svg">\n` +
    `<title id="chart${number}">Temperature over time, ${low} to ${high} ${unit}</title>\n` +
    `${grid(c)}${line(c)}${alarms(c)}</svg>\n<figcaption>Temperature in ${unit} reported by ${name}: ${readings.length} readings, ` +
    `lowest ${low}, highest ${high}, mean ${fixed1(c.mean)}. A break in the line is a silence.</figcaption>\n</figure>\n${excursions(c, unit)}`
  );
}
