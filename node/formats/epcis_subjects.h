/* Subjects and pairings of one checked event. Private to node/formats. */
#ifndef CARNET_NODE_FORMATS_EPCIS_SUBJECTS_H
#define CARNET_NODE_FORMATS_EPCIS_SUBJECTS_H

#include "node/formats/epcis_check.h"
#include "node/formats/pool.h"

/* Fills subject*, subject_flags and pairing* of *ret; the texts live in the pool. */
cn_status cn_epcis_find_subjects(const cn_json *json, const cn_json_node *event, const cn_epcis_facts *facts,
                                 cn_pool *pool, cn_epcis_event *ret, cn_err *err);

#endif
