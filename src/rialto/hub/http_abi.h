// The C ABI of the Rust library's HTTP client and SHA-256 (rust/src/http_abi.rs). Only http.cpp and sha256.cpp include
// this.
#pragma once

#include "rialto/hub/tokenizer_abi.h"

extern "C" {

/// Headers are "name: value" lines. Negative: stop.
using RialtoHttpOnHead = int32_t (*)(void* user, uint16_t status, const uint8_t* headers, size_t len);
using RialtoHttpOnBody = int32_t (*)(void* user, const uint8_t* data, size_t len);

// Status of both: 0 done, 1 failed (`error` holds a message), 2 stopped by a callback.
int32_t rialto_http_new(const uint8_t* user_agent, size_t user_agent_len, const uint8_t* authorities,
                        size_t authorities_len, void** out, RialtoTokBytes* error);
int32_t rialto_http_fetch(const void* client, int32_t head, const uint8_t* url, size_t url_len, const uint8_t* headers,
                          size_t headers_len, RialtoHttpOnHead on_head, RialtoHttpOnBody on_body, void* user,
                          RialtoTokBytes* error);
void rialto_http_free(void* client);

void* rialto_sha256_new();
void rialto_sha256_update(void* hash, const uint8_t* data, size_t len);
void rialto_sha256_hex(const void* hash, uint8_t* out);  ///< writes 64 digits
void rialto_sha256_free(void* hash);

}  // extern "C"
