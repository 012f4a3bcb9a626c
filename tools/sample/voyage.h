/* Where the containers are, and what their sensors say. Private to tools/sample. */
#ifndef CARNET_TOOLS_SAMPLE_VOYAGE_H
#define CARNET_TOOLS_SAMPLE_VOYAGE_H

#include "tools/sample/writer.h"

typedef struct voyage {
    const char *container, *tracker; /* URIs */
    uint64_t departure_ms, arrival_ms;
    double set_point; /* degrees Celsius */
    uint64_t excursion_start_ms, excursion_end_ms;
    uint64_t random; /* state of the number generator */
} voyage;

/* One reading an hour from start to before end; returns how many. */
size_t voyage_readings(writer *w, voyage *v, uint64_t start_ms, uint64_t end_ms);
/* The temperature excursion as one event with its duration, from the readings' extremes. */
void voyage_excursion(writer *w, const voyage *v);
void voyage_door(writer *w, const voyage *v, uint64_t ms, int offset_hours, bool open, const char *place);

#endif
