#ifndef CMESSAGES_H
#define CMESSAGES_H

#include "../Generated/messages.h"
#include "arena.h"
#include "encode.h"
#include "scan.h"

#endif
