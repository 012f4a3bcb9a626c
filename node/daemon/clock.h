/* The clocks of a node. The simulation of whole nodes puts others in their place (tests/simulation/whole). */
#ifndef CARNET_NODE_DAEMON_CLOCK_H
#define CARNET_NODE_DAEMON_CLOCK_H

#include <stdint.h>

uint64_t cn_monotonic_us(void);
uint64_t cn_monotonic_ms(void);
uint64_t cn_wall_ms(void);   /* may be set at any time: for block times only */
uint64_t cn_steady_ms(void); /* what the wall clock would show had nobody set it since the start */

#endif
