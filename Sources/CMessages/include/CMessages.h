#ifndef CMESSAGES_H
#define CMESSAGES_H

#include <CProtobufC.h>

#endif
