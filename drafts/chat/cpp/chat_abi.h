// The C ABI of chat templates (rust/src/chat_abi.rs). Only chat_template.cpp and tokenizer.cpp include this.
#pragma once

#include "rialto/hub/tokenizer_abi.h"

extern "C" {

/// `spans`: pairs of byte offsets. `now`: seconds of the epoch; negative: the clock's.
int32_t rialto_chat_render(const uint8_t* text, size_t text_len, const uint8_t* context, size_t context_len, int64_t now,
                           RialtoTokBytes* out, RialtoTokIds* spans, RialtoTokBytes* error);
int32_t rialto_chat_has_markers(const uint8_t* text, size_t len);

}  // extern "C"
