#include "tools/sample/voyage.h"

/* Mombasa, Gulf of Aden, Suez, Gibraltar, Rotterdam; `at` is the share of the voyage. */
static const struct waypoint {
    double at, latitude, longitude;
} route[] = {
    {0.000, -4.060, 39.660}, {0.120, 2.000, 46.500},  {0.240, 11.900, 51.200}, {0.340, 12.500, 43.400},
    {0.430, 20.500, 38.500}, {0.540, 29.900, 32.600}, {0.580, 31.600, 32.300}, {0.680, 35.200, 20.000},
    {0.740, 37.400, 10.800}, {0.840, 36.000, -5.500}, {0.910, 43.500, -9.800}, {0.955, 48.600, -5.600},
    {1.000, 51.960, 4.050},
};

static void position(const voyage *v, uint64_t ms, double *ret_latitude, double *ret_longitude)
{
    size_t last = sizeof route / sizeof route[0] - 1, i = 0;
    double at = ms <= v->departure_ms ? 0 : (double)(ms - v->departure_ms) / (double)(v->arrival_ms - v->departure_ms);
    if (at >= 1)
        at = 1;
    while (i + 1 < last && route[i + 1].at < at)
        i++;
    double share = (at - route[i].at) / (route[i + 1].at - route[i].at);
    *ret_latitude = route[i].latitude + share * (route[i + 1].latitude - route[i].latitude);
    *ret_longitude = route[i].longitude + share * (route[i + 1].longitude - route[i].longitude);
}

/* -1 to 1 (xorshift64) */
static double noise(voyage *v)
{
    v->random ^= v->random << 13;
    v->random ^= v->random >> 7;
    v->random ^= v->random << 17;
    return (double)(v->random >> 11) / (double)(UINT64_C(1) << 52) - 1;
}

static bool in_excursion(const voyage *v, uint64_t ms)
{
    return v->excursion_start_ms <= ms && ms < v->excursion_end_ms;
}

/* Without power the air warms to six degrees above the set point, and falls again in the last quarter. */
static double excursion_of(const voyage *v, uint64_t ms)
{
    if (!in_excursion(v, ms))
        return 0;
    double share = (double)(ms - v->excursion_start_ms) / (double)(v->excursion_end_ms - v->excursion_start_ms);
    return share < 0.75 ? 2 + 4 * share / 0.75 : 6 - 4 * (share - 0.75) / 0.25;
}

size_t voyage_readings(writer *w, voyage *v, uint64_t start_ms, uint64_t end_ms)
{
    const uint64_t hour = 3600000;
    cn_buf *out = &w->file->text;
    size_t count = 0;
    for (uint64_t ms = start_ms; ms < end_ms; ms += hour, count++) {
        double latitude, longitude, hours = (double)(ms / hour % 2000);
        position(v, ms, &latitude, &longitude);
        sample_event(w, "ObjectEvent", "OBSERVE", ms, 0);
        sample_put(out,
                   ", \"epcList\": [\"%s\"], \"bizStep\": \"sensor_reporting\", \"disposition\": \"in_transit\", "
                   "\"readPoint\": {\"id\": \"geo:%.3f,%.3f\"}, \"sensorElementList\": [{\"sensorMetadata\": "
                   "{\"deviceID\": \"%s\"}, \"sensorReport\": [{\"type\": \"Temperature\", \"value\": %.1f, \"uom\": "
                   "\"CEL\"%s}, {\"type\": \"RelativeHumidity\", \"value\": %.0f, \"uom\": \"P1\"}, {\"type\": "
                   "\"Voltage\", \"value\": %.2f, \"uom\": \"VLT\"}, {\"type\": \"Angle\", \"component\": "
                   "\"latitude\", \"value\": "
                   "%.3f, \"uom\": \"DD\"}, {\"type\": \"Angle\", \"component\": \"longitude\", \"value\": %.3f, "
                   "\"uom\": \"DD\"}]}]",
                   v->container, latitude, longitude, v->tracker, v->set_point + 0.4 * noise(v) + excursion_of(v, ms),
                   in_excursion(v, ms) ? ", \"exception\": \"ALARM_CONDITION\"" : "", 90 + 3 * noise(v),
                   4.1 - 0.0002 * hours + 0.01 * noise(v), latitude, longitude);
        sample_event_end(w);
    }
    return count;
}

void voyage_excursion(writer *w, const voyage *v)
{
    cn_buf *out = &w->file->text;
    sample_event(w, "ObjectEvent", "OBSERVE", v->excursion_end_ms, 0);
    sample_put(out,
               ", \"epcList\": [\"%s\", \"" CN_SAMPLE_CONSIGNMENT "\"], \"bizStep\": \"sensor_reporting\", "
               "\"disposition\": \"non_conformant\", \"sensorElementList\": [{\"sensorMetadata\": {\"startTime\": ",
               v->container);
    sample_time_text(out, v->excursion_start_ms);
    sample_put(out, ", \"endTime\": ");
    sample_time_text(out, v->excursion_end_ms);
    sample_put(out,
               ", \"deviceID\": \"%s\", \"sample:durationMinutes\": %llu}, \"sensorReport\": [{\"type\": "
               "\"Temperature\", \"exception\": \"ALARM_CONDITION\", \"minValue\": %.1f, \"maxValue\": %.1f, "
               "\"meanValue\": %.1f, \"uom\": \"CEL\"}]}]",
               v->tracker, (unsigned long long)((v->excursion_end_ms - v->excursion_start_ms) / 60000),
               v->set_point + 2, v->set_point + 6, v->set_point + 4);
    sample_event_end(w);
}

void voyage_door(writer *w, const voyage *v, uint64_t ms, int offset_hours, bool open, const char *place)
{
    sample_event(w, "ObjectEvent", "OBSERVE", ms, offset_hours);
    sample_put(&w->file->text,
               ", \"epcList\": [\"%s\"], \"bizStep\": \"sensor_reporting\", \"disposition\": \"container_%s\", "
               "\"readPoint\": {\"id\": \"%s\"}, \"sensorElementList\": [{\"sensorMetadata\": {\"deviceID\": \"%s\"}, "
               "\"sensorReport\": [{\"type\": \"sample:DoorOpen\", \"booleanValue\": %s}]}]",
               v->container, open ? "open" : "closed", place, v->tracker, open ? "true" : "false");
    sample_event_end(w);
}
