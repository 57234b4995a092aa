#ifndef CMESSAGES_SAMPLES_H
#define CMESSAGES_SAMPLES_H

#include "../Generated/samples.h"

#endif
