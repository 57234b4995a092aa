/* Whether bytes are text: well-formed UTF-8 (Unicode 15, table 3-7) without U+0000. */
#ifndef CMESSAGES_UTF8_H
#define CMESSAGES_UTF8_H

#include "scan.h"

messages_problem messages_check_text(const uint8_t *bytes, size_t count);

#endif
