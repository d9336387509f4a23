// The C ABI of chat templates (rust/src/chat_abi.rs). Only chat_template.cpp includes this.
#pragma once

#include "rialto/hub/tokenizer_abi.h"

extern "C" {

// Status of both: 0 done, 1 failed (`error` holds a message).
int32_t rialto_chat_load(const uint8_t* text, size_t len, void** out, RialtoTokBytes* error);
/// `spans`: pairs of byte offsets. `now`: seconds of the epoch; negative: there is no clock.
int32_t rialto_chat_render(const void* chat, const uint8_t* context, size_t context_len, int64_t now,
                           RialtoTokBytes* out, RialtoTokIds* spans, RialtoTokBytes* error);
int32_t rialto_chat_has_markers(const void* chat);
void rialto_chat_free(void* chat);

}  // extern "C"
