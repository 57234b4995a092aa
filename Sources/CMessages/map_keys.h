/* Whether a map's keys are distinct: protobuf-c keeps every entry, protobuf only the last. */
#ifndef CMESSAGES_MAP_KEYS_H
#define CMESSAGES_MAP_KEYS_H

#include "scan.h"

/* Looks through the maps of one scanned message. On a key that is given twice, `field` is the map
 * and `entry` the tag of the later entry. */
messages_problem check_map_keys(const messages_shape *shape, const uint8_t *begin,
                                const uint8_t *end, messages_arena *arena,
                                const messages_field **field, const uint8_t **entry);

#endif
