#include "node/formats/report_chart.h"

#include "node/formats/html.h"
#include "node/formats/time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 720.0
#define HEIGHT 230.0
#define LEFT 46.0
#define RIGHT 12.0
#define TOP 12.0
#define BOTTOM 34.0
#define COLUMNS 660 /* points that can be told apart */
#define EXCURSIONS_MAX 50u

static int by_time(const void *a, const void *b)
{
    const report_reading *x = a, *y = b;
    if (x->ms != y->ms)
        return x->ms < y->ms ? -1 : 1;
    if (x->value < y->value || x->value > y->value)
        return x->value < y->value ? -1 : 1;
    return (int)x->alarm - (int)y->alarm;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

typedef struct chart {
    cn_buf *out;
    const report_reading *reading;
    size_t count;
    double low, high, mean; /* of the values */
    double bottom, top;     /* of the axis */
    double step;            /* between lines */
    int64_t gap_ms;         /* so long a silence is shown as one */
} chart;

/* Three usual intervals; readings that come together count as one. */
static int64_t gap_of(const report_reading *r, size_t n)
{
    int64_t *between = malloc((n + 1) * sizeof *between), gap = INT64_MAX;
    size_t count = 0;
    for (size_t i = 1; between && i < n; i++)
        if (r[i].ms > r[i - 1].ms)
            between[count++] = r[i].ms - r[i - 1].ms;
    if (count) {
        qsort(between, count, sizeof *between, by_number);
        gap = between[count / 2] > INT64_MAX / 4 ? INT64_MAX : 3 * between[count / 2];
    }
    free(between);
    return gap;
}

static void measure(chart *c)
{
    static const double steps[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    double sum = 0;
    c->low = c->high = c->reading[0].value;
    for (size_t i = 0; i < c->count; i++) {
        double v = c->reading[i].value;
        c->low = v < c->low ? v : c->low;
        c->high = v > c->high ? v : c->high;
        sum += v;
    }
    c->mean = sum / (double)c->count;
    size_t k = 0;
    while (k + 1 < sizeof steps / sizeof steps[0] && (c->high - c->low) / steps[k] > 7)
        k++;
    c->step = steps[k];
    while ((c->high - c->low) / c->step > 12)
        c->step *= 10;
    c->bottom = floor(c->low / c->step - 0.25) * c->step;
    c->top = ceil(c->high / c->step + 0.25) * c->step;
    c->gap_ms = gap_of(c->reading, c->count);
}

static double x_of(const chart *c, int64_t ms)
{
    double span = (double)(c->reading[c->count - 1].ms - c->reading[0].ms);
    double share = span > 0 ? (double)(ms - c->reading[0].ms) / span : 0.5;
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double y_of(const chart *c, double value)
{
    return TOP + (c->top - value) / (c->top - c->bottom) * (HEIGHT - TOP - BOTTOM);
}

static void draw_grid(const chart *c)
{
    for (double v = c->bottom; v < c->top + c->step / 2; v += c->step)
        html(c->out,
             "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
             "text-anchor=\"end\">%g</text>\n",
             LEFT, y_of(c, v), WIDTH - RIGHT, y_of(c, v), LEFT - 6, y_of(c, v) + 4, fabs(v) < c->step / 4 ? 0.0 : v);
    for (int i = 0; i <= 4; i++) {
        int64_t first = c->reading[0].ms, span = c->reading[c->count - 1].ms - first;
        int64_t ms = first + span / 4 * i;
        if (span == 0 && i != 2)
            continue;
        html(c->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x_of(c, ms), HEIGHT - 12,
             span == 0 ? "middle"
             : i == 0  ? "start"
             : i == 4  ? "end"
                       : "middle");
        char text[CN_TIME_TEXT];
        cn_time_format(ms, text);
        html(c->out, "%.10s %.5s", text, text + 11);
        html(c->out, "</text>\n");
    }
}

/* A line, broken at silences. Of many readings in one column of the picture its lowest and highest are drawn. */
static void draw_line(const chart *c)
{
    bool open = false;
    int64_t before = 0;
    for (size_t i = 0; i < c->count;) {
        const report_reading *r = &c->reading[i], *low = r, *high = r;
        int column = (int)((x_of(c, r->ms) - LEFT) / (WIDTH - LEFT - RIGHT) * COLUMNS);
        size_t k = i;
        while (k < c->count && (int)((x_of(c, c->reading[k].ms) - LEFT) / (WIDTH - LEFT - RIGHT) * COLUMNS) == column) {
            low = c->reading[k].value < low->value ? &c->reading[k] : low;
            high = c->reading[k].value > high->value ? &c->reading[k] : high;
            k++;
        }
        if (open && r->ms - before > c->gap_ms) {
            html(c->out, "\"/>\n");
            open = false;
        }
        html(c->out, open ? " " : "<polyline points=\"");
        open = true;
        html(c->out, "%.1f,%.1f", x_of(c, low->ms), y_of(c, low->value));
        if (high != low)
            html(c->out, " %.1f,%.1f", x_of(c, high->ms), y_of(c, high->value));
        before = c->reading[k - 1].ms;
        i = k;
    }
    html(c->out, "\"/>\n");
}

static void draw_alarms(const chart *c)
{
    double last = -10;
    for (size_t i = 0; i < c->count; i++) {
        double x = x_of(c, c->reading[i].ms);
        if (!c->reading[i].alarm || x - last < 1.5)
            continue;
        last = x;
        html(c->out, "<circle class=\"alarm\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>\n", x, y_of(c, c->reading[i].value));
    }
}

/* Consecutive readings with an alarm. */
static void list_excursions(const chart *c, const char *unit)
{
    size_t found = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->reading[i].alarm)
            continue;
        size_t k = i;
        double low = c->reading[i].value, high = low;
        for (; k < c->count && c->reading[k].alarm; k++) {
            low = c->reading[k].value < low ? c->reading[k].value : low;
            high = c->reading[k].value > high ? c->reading[k].value : high;
        }
        if (found == 0)
            html(c->out, "<p class=\"alarm\">The device reported an alarm:</p>\n<ul>\n");
        if (found++ < EXCURSIONS_MAX) {
            html(c->out, "<li>");
            html_time(c->out, c->reading[i].ms);
            html(c->out, " to ");
            html_time(c->out, c->reading[k - 1].ms);
            html(c->out, ": %zu readings, %.1f to %.1f %s</li>\n", k - i, low, high, unit);
        }
        i = k;
    }
    if (found > EXCURSIONS_MAX)
        html(c->out, "<li>and %zu more</li>\n", found - EXCURSIONS_MAX);
    if (found)
        html(c->out, "</ul>\n");
}

void report_chart(cn_buf *out, report_reading *reading, size_t count, const char *name, const char *unit,
                  unsigned number)
{
    chart c = {.out = out, .reading = reading, .count = count};
    if (count < 3) {
        for (size_t i = 0; i < count; i++) {
            html(out, "<p>%.1f %s%s, reported by ", reading[i].value, unit, reading[i].alarm ? ", with an alarm" : "");
            cn_put_bytes(out, name, strlen(name));
            html(out, " at ");
            html_time(out, reading[i].ms);
            html(out, "</p>\n");
        }
        return;
    }
    qsort(reading, count, sizeof *reading, by_time);
    measure(&c);
    html(
        out,
        "<figure>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"chart%u\" "
        "xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"chart%u\">Temperature over time, %.1f to %.1f %s</title>\n",
        WIDTH, HEIGHT, number, number, c.low, c.high, unit);
    draw_grid(&c);
    draw_line(&c);
    draw_alarms(&c);
    html(out, "</svg>\n<figcaption>Temperature in %s reported by ", unit);
    cn_put_bytes(out, name, strlen(name));
    html(out,
         ": %zu readings, lowest %.1f, highest %.1f, mean %.1f. A break in the line is a silence.</figcaption>\n"
         "</figure>\n",
         count, c.low, c.high, c.mean);
    list_excursions(&c, unit);
}
