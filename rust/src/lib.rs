//! The Hugging Face tokenizers crate, tiktoken, chat templates, an HTTPS client, parquet and compressed files behind a small C ABI. Every function catches panics and reports
//! errors as text; nothing here keeps state between calls but the handles. The C side is src/rialto/hub/*_abi.h
//! and src/rialto/formats/files_abi.h.

mod abi;
pub mod byte_bpe;
mod char_classes;
pub mod chat;
mod chat_abi;
mod chat_tags;
pub mod count;
pub mod fast;
mod files_abi;
pub mod http;
mod http_abi;
pub mod parquet_read;
pub mod parquet_rows;
pub mod parquet_write;
mod python_str;
mod python_text;
mod python_values;
pub mod ranks;
pub mod train;
pub mod unpack;
pub mod word_cuts;

use fast::Fast;
use ranks::Ranks;
use tokenizers::Tokenizer;

enum Model {
    /// As `tokenizer.json` describes it, without the truncation and padding that file may ask for: callers want all
    /// tokens of a text and no others (transformers switches both off in the same way).
    HuggingFace(Box<Tokenizer>),
    Tiktoken(Box<Ranks>),
}

pub struct Loaded {
    model: Model,
    vocab_size: u32,
    /// Encodes most texts in the model's stead.
    fast: Option<Fast>,
}

impl Loaded {
    /// Parses the bytes of a `tokenizer.json`.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|e| e.to_string())?;
        tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
        tokenizer.with_padding(None);
        let largest = tokenizer.get_vocab(true).into_values().max();
        let vocab_size = largest.map_or(0, |id| id.saturating_add(1));
        Ok(Self { model: Model::HuggingFace(Box::new(tokenizer)), vocab_size, fast: Fast::of_json(json) })
    }

    pub fn from_ranks(ranks: Ranks) -> Self {
        let vocab_size = ranks.vocab_size();
        Self { model: Model::Tiktoken(Box::new(ranks)), vocab_size, fast: None }
    }

    /// Token ids of `text`; `add_special` applies the post-processor's template (BOS, EOS).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, String> {
        if let Some(ids) = self.fast.as_ref().filter(|_| !add_special).and_then(|fast| fast.encode(text)) {
            return Ok(ids);
        }
        match &self.model {
            Model::HuggingFace(tokenizer) => {
                let encoding = tokenizer.encode_fast(text, add_special).map_err(|e| e.to_string())?;
                Ok(encoding.get_ids().to_vec())
            }
            Model::Tiktoken(ranks) => Ok(ranks.encode(text, add_special)),
        }
    }

    /// Token ids of `text` without the post-processor's template, and which bytes of `text` each stands for.
    pub fn encode_places(&self, text: &str) -> Result<(Vec<u32>, Vec<(usize, usize)>), String> {
        let Model::HuggingFace(tokenizer) = &self.model else {
            return Err("only a tokenizer.json tells where in a text its tokens are".into());
        };
        let encoding = tokenizer.encode(text, false).map_err(|e| e.to_string())?;
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()))
    }

    /// Texts of the added tokens that are special, in the order of their ids: what tokenizing finds in any text; tiktoken's
    /// finds none.
    pub fn special_tokens(&self) -> Vec<String> {
        let Model::HuggingFace(tokenizer) = &self.model else { return Vec::new() };
        let added = tokenizer.get_added_tokens_decoder();
        let mut special: Vec<_> = added.into_iter().filter(|(_, token)| token.special).collect();
        special.sort_by_key(|(id, _)| *id);
        special.into_iter().map(|(_, token)| token.content).collect()
    }

    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, String> {
        match &self.model {
            Model::HuggingFace(tokenizer) => tokenizer.decode(ids, skip_special).map_err(|e| e.to_string()),
            Model::Tiktoken(ranks) => Ok(ranks.decode(ids, skip_special)),
        }
    }

    /// True where encode() needs `tokenizers` for few texts only (see `fast`).
    pub fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Every id is below this; equal to the number of tokens where ids have no holes.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    pub fn id_of(&self, token: &str) -> Option<u32> {
        match &self.model {
            Model::HuggingFace(tokenizer) => tokenizer.token_to_id(token),
            Model::Tiktoken(ranks) => ranks.id_of(token),
        }
    }
}
