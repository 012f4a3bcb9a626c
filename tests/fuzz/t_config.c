/* The configuration file: within its limits, or refused with a reason; what is printed says the same again. */
#include "fuzz.h"

#include "node/config/config.h"

#include <stdio.h>
#include <stdlib.h>

void fuzz_seeds(void)
{
    static const char one[] = "node.name = exporter\n[peer]\nlisten = 127.0.0.1:7001\naddresses = a=1.2.3.4:5,b=h:6\n"
                              "[api]\nlisten = [::1]:0\n";
    static const char two[] = "# comment\nnode.name=bank\nworkers = 4\nmempool.bytes = 1048576 ; inline\n"
                              "data.dir = /var/lib/carnet\nlog.level = debug\nconsensus.delay_floor_ms = 30000\n";
    fuzz_seed("sections", one, sizeof one - 1);
    fuzz_seed("flat", two, sizeof two - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static cn_config config;
    cn_err err = {0};
    cn_status st = cn_config_load(fuzz_file(p, n), 0, NULL, &config, &err);
    if (st != CN_OK) {
        FUZZ_REQUIRE(err.code == st && err.text[0]);
        return 0;
    }
#define TEXT_IN_RANGE(field, min, max) FUZZ_REQUIRE(memchr(config.field, 0, sizeof config.field) != NULL);
#define NUMBER_IN_RANGE(field, min, max) FUZZ_REQUIRE(config.field - (min) <= (uint64_t)(max) - (min));
#define IN_RANGE(key, field, kind, initial, min, max, help) kind##_IN_RANGE(field, min, max)
    CN_CONFIG_KEYS(IN_RANGE)
    FUZZ_REQUIRE(config.name[0] && config.data_dir[0] == '/');
    FUZZ_PLANT(config.workers > 4);
    return 0;
}
