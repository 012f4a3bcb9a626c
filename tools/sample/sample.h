/* The sample shipment: what four parties would send about two refrigerated containers from Mombasa to Rotterdam.
 *
 * Everything is fixed: times, identifiers (GS1 prefixes are those for demonstrations, all check digits are right) and
 * readings (a small generator of numbers with a fixed seed), so that two runs write the same bytes. */
#ifndef CARNET_TOOLS_SAMPLE_SAMPLE_H
#define CARNET_TOOLS_SAMPLE_SAMPLE_H

#include "proto/bytes.h"
#include "proto/status.h"

/* The consignment that the shipment is about, and its container. */
#define CN_SAMPLE_CONSIGNMENT "urn:carnet:ucr:6KEP051234567A-AVO-0114"
#define CN_SAMPLE_CONTAINER "urn:epc:id:bic:CNTU7301462"
/* Another one, so that a query must choose. */
#define CN_SAMPLE_OTHER_CONSIGNMENT "urn:carnet:ucr:6KEP057654321B-ROS-0119"
#define CN_SAMPLE_OTHER_CONTAINER "urn:epc:id:bic:CNTU7301483"

typedef struct cn_sample_file {
    char name[64];
    const char *party;    /* the testnet member that signs it; "" for a file that nobody submits */
    const char *about;    /* one line */
    const char *subjects; /* its main subject URIs, separated by spaces */
    cn_buf text;
} cn_sample_file;

#define CN_SAMPLE_FILES_MAX 40

typedef struct cn_sample {
    size_t count;
    cn_sample_file file[CN_SAMPLE_FILES_MAX]; /* in the order of submission */
    size_t readings;                          /* reefer readings of the main container */
} cn_sample;

/* Makes all files; each EPCIS document is read back by the adapter before it is handed out. */
cn_status cn_sample_make(cn_sample *ret, cn_err *err);
void cn_sample_free(cn_sample *s);

#endif
