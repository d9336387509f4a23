//! Encoding without tokenizers where a tokenizer.json is byte-level BPE of a form that is known whole, with the same ids.
//! What is not known to the last key is left to tokenizers; so is a text that holds an added token.

use crate::byte_bpe::ByteBpe;
use crate::train::byte_chars;
use crate::word_cuts::{known, Cut, Cutter};
use aho_corasick::AhoCorasick;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use unicode_normalization_alignments::UnicodeNormalization;

pub struct Fast {
    cutter: Cutter,
    bpe: ByteBpe,
    nfc: bool,
    added: Option<AhoCorasick>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: FxHashMap<String, u32>,
    merges: Vec<Merge>,
    #[serde(default)]
    dropout: Value,
    #[serde(default)]
    unk_token: Value,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default, rename = "fuse_unk")]
    _fuse_unk: bool, // of unknown characters, which bytes are not
    #[serde(default, rename = "byte_fallback")]
    _byte_fallback: bool, // as well
    #[serde(default)]
    ignore_merges: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

impl Merge {
    fn halves(&self) -> Option<(&str, &str)> {
        match self {
            Merge::Pair(left, right) => Some((left, right)),
            Merge::Line(line) => line.split_once(' ').filter(|(_, right)| !right.contains(' ')),
        }
    }
}

/// A map that holds these keys, and any others with the values that are given for them.
fn is(value: &Value, wanted: &[(&str, Value)], optional: &[(&str, Value)]) -> bool {
    let Some(map) = value.as_object() else { return false };
    wanted.iter().all(|(key, want)| map.get(*key) == Some(want))
        && map.iter().all(|(key, got)| wanted.iter().any(|(k, _)| k == key) || optional.iter().any(|(k, v)| k == key && v == got))
}

fn is_byte_level(value: &Value, use_regex: bool) -> bool {
    let wanted = [("type", "ByteLevel".into()), ("add_prefix_space", false.into()), ("use_regex", use_regex.into())];
    // moves offsets only, which nobody asks for here
    ["true", "false"].iter().any(|trim| is(value, &wanted, &[("trim_offsets", Value::Bool(*trim == "true"))]))
}

fn pattern_of(split: &Value) -> Option<&str> {
    let optional = [("pattern", split.get("pattern")?.clone())];
    let wanted = [("type", "Split".into()), ("behavior", "Isolated".into()), ("invert", false.into())];
    if !is(split, &wanted, &optional) {
        return None;
    }
    split["pattern"].as_object().filter(|p| p.len() == 1)?.get("Regex")?.as_str()
}

fn cut_of(pre_tokenizer: &Value) -> Option<Cut> {
    if is_byte_level(pre_tokenizer, true) {
        return Some(Cut::Gpt2);
    }
    let list = pre_tokenizer.get("pretokenizers")?;
    if !is(pre_tokenizer, &[("type", "Sequence".into())], &[("pretokenizers", list.clone())]) {
        return None;
    }
    let (last, splits) = list.as_array()?.split_last()?;
    if !is_byte_level(last, false) {
        return None;
    }
    let patterns: Option<Vec<&str>> = splits.iter().map(pattern_of).collect();
    known(&patterns?)
}

/// Whether texts are brought to NFC first; None for any other normalizer.
fn is_nfc(normalizer: &Value) -> Option<bool> {
    let empty = is(normalizer, &[("type", "Sequence".into()), ("normalizers", Value::Array(vec![]))], &[]);
    if normalizer.is_null() || empty {
        return Some(false);
    }
    is(normalizer, &[("type", "NFC".into())], &[]).then_some(true)
}

/// The bytes that a token's characters stand for; none where one stands for nothing.
fn bytes_of(token: &str, byte_of: &FxHashMap<char, u8>) -> Option<Vec<u8>> {
    token.chars().map(|c| byte_of.get(&c).copied()).collect()
}

impl Fast {
    /// None where the file is of a form that is not known.
    pub fn of_json(json: &[u8]) -> Option<Self> {
        let file: File = serde_json::from_slice(json).ok()?;
        let (nfc, cut) = (is_nfc(&file.normalizer)?, cut_of(&file.pre_tokenizer)?);
        let model = &file.model;
        let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
        let plain = model.dropout.is_null() && affixes.iter().all(|a| a.as_ref().is_none_or(String::is_empty));
        if !plain || model.kind.as_deref() != Some("BPE") || !(model.unk_token.is_null() || model.unk_token.is_string()) {
            return None;
        }
        let chars = byte_chars();
        let id = |text: &str| model.vocab.get(text).copied();
        let mut byte_ids = [0; 256];
        for (byte, c) in chars.iter().enumerate() {
            byte_ids[byte] = id(c.encode_utf8(&mut [0; 4]))?; // else some text has characters that are unknown
        }
        let merge = |merge: &Merge| {
            let (left, right) = merge.halves()?;
            Some((id(left)?, id(right)?, id(&format!("{left}{right}"))?))
        };
        let merges: Option<Vec<_>> = model.merges.iter().map(merge).collect();
        let mut whole = FxHashMap::default();
        if model.ignore_merges {
            let byte_of = (0..=255u8).map(|b| (chars[b as usize], b)).collect();
            let tokens = model.vocab.iter().filter_map(|(token, id)| Some((bytes_of(token, &byte_of)?.into(), *id)));
            whole.extend(tokens);
        }
        let texts: Vec<Cow<str>> = file.added_tokens.iter().flat_map(|t| forms(&t.content)).collect();
        if texts.iter().any(|text| text.is_empty()) {
            return None;
        }
        let added = if texts.is_empty() { None } else { Some(AhoCorasick::new(texts.iter().map(|t| t.as_bytes())).ok()?) };
        Some(Self { cutter: Cutter::new(cut).ok()?, bpe: ByteBpe::new(byte_ids, merges?.into_iter(), whole), nfc, added })
    }

    /// The ids of `text`, or None for one that tokenizers must do.
    pub fn encode(&self, text: &str) -> Option<Vec<u32>> {
        let normal = if self.nfc && !text.is_ascii() { Cow::Owned(nfc(text)) } else { Cow::Borrowed(text) };
        for form in [text, &normal] {
            if self.added.as_ref().is_some_and(|added| added.is_match(form)) {
                return None;
            }
            if !self.nfc {
                break;
            }
        }
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut memory = self.bpe.take_memory();
        self.cutter.each(&normal, |word| self.bpe.encode(word.as_bytes(), &mut memory, &mut ids));
        self.bpe.give_back(memory);
        Some(ids)
    }
}

/// An added token may be looked for as it stands or normalized.
fn forms(text: &str) -> [Cow<'_, str>; 2] {
    [Cow::Borrowed(text), Cow::Owned(nfc(text))]
}

fn nfc(text: &str) -> String {
    text.nfc().map(|(c, _)| c).collect()
}
