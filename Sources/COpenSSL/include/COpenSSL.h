#ifndef COPENSSL_H
#define COPENSSL_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#endif
