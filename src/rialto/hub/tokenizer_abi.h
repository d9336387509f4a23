// The C ABI of the Rust crate (rust/src/abi.rs). Only rust_bytes.h and chat_abi.h include this.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct RialtoTokBytes {
  uint8_t* data;
  size_t len;
};

struct RialtoTokIds {
  uint32_t* data;
  size_t len;
};

/// 1: `data` and `len` hold the next text, valid until the next call; 0: no more; negative: stop.
using RialtoTokNextText = int32_t (*)(void* user, const uint8_t** data, size_t* len);

// Status of all: 0 done, 1 failed (`error` holds a message), 2 stopped by the callback.
int32_t rialto_tok_load(const uint8_t* json, size_t len, void** out, RialtoTokBytes* error);
/// A file of tiktoken ranks. `words`, separated by NUL: pattern, BOS, EOS, then "ID TEXT" of each
/// special token beside the ranks.
int32_t rialto_tok_load_ranks(const uint8_t* file, size_t file_len, const uint8_t* words, size_t words_len, void** out,
                              RialtoTokBytes* error);
void rialto_tok_free(void* tokenizer);
int32_t rialto_tok_encode(const void* tokenizer, const uint8_t* text, size_t len, int32_t add_special,
                          RialtoTokIds* out, RialtoTokBytes* error);
/// `places`: pairs of byte offsets of `text`, one a token.
int32_t rialto_tok_encode_places(const void* tokenizer, const uint8_t* text, size_t len, RialtoTokIds* ids,
                                 RialtoTokIds* places, RialtoTokBytes* error);
/// `out`: the special tokens, a NUL behind each.
int32_t rialto_tok_special_tokens(const void* tokenizer, RialtoTokBytes* out, RialtoTokBytes* error);
int32_t rialto_tok_decode(const void* tokenizer, const uint32_t* ids, size_t len, int32_t skip_special,
                          RialtoTokBytes* out, RialtoTokBytes* error);
uint32_t rialto_tok_vocab_size(const void* tokenizer);
/// 1 where most texts are encoded by our own code, with the ids of the `tokenizers` crate.
int32_t rialto_tok_is_fast(const void* tokenizer);
int64_t rialto_tok_id_of(const void* tokenizer, const uint8_t* token, size_t len);
int32_t rialto_tok_train_bpe(const uint8_t* special, size_t special_len, uint64_t vocab_size, uint64_t min_frequency,
                             size_t threads, RialtoTokNextText next, void* user, RialtoTokBytes* out,
                             RialtoTokBytes* error);
void rialto_tok_free_bytes(RialtoTokBytes bytes);
void rialto_tok_free_ids(RialtoTokIds ids);

}  // extern "C"
