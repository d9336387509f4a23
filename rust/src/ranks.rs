//! tiktoken's files of ranks, through tiktoken's own encoder.

use base64::Engine;
use rustc_hash::FxHashMap;
use tiktoken_rs::CoreBPE;

pub struct Ranks {
    model: CoreBPE,
    ids: FxHashMap<Vec<u8>, u32>,
    special: FxHashMap<String, u32>,
    vocab_size: u32,
    ends: Ends,
}

/// What goes before and behind a text where special tokens are wanted.
#[derive(Default)]
pub struct Ends {
    bos: Option<u32>,
    eos: Option<u32>,
}

/// Patterns of published rank files, by how many ranks they have. Source: tiktoken's openai_public.py, the
/// tokenization_qwen.py and the Llama 3 tokenizer that came with the models.
const PATTERNS: [(usize, &str); 6] = [
    (50256, GPT2),
    (50280, GPT2),
    (100_256, CL100K),
    (199_998, O200K),
    (128_000, LLAMA3),
    (151_643, QWEN),
];
const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";
const CL100K: &str = concat!(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|",
    r"\s++$|\s*[\r\n]|\s+(?!\S)|\s"
);
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|",
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|",
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
);

const NEITHER: &str = "it is no tokenizer.json, no SentencePiece model and no file of tiktoken ranks";

/// A line of a rank file: the token's bytes as base64, a space, its rank.
fn rank_of(line: &str) -> Option<(Vec<u8>, u32)> {
    let (token, rank) = line.split_once(' ')?;
    Some((base64::engine::general_purpose::STANDARD.decode(token).ok()?, rank.parse().ok()?))
}

impl Ranks {
    /// `special`: pairs of text and id beside the ranks. `pattern` cuts texts into words; empty: by the number of ranks.
    pub fn load(bytes: &[u8], pattern: &str, special: Vec<(String, u32)>) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| NEITHER)?;
        if !text.lines().next().is_some_and(|line| rank_of(line).is_some()) {
            return Err(NEITHER.into());
        }
        let special: FxHashMap<String, u32> = special.into_iter().collect();
        let mut ids = FxHashMap::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let (token, rank) = rank_of(line).ok_or(format!("line {} is no token and its rank", number + 1))?;
            if ids.insert(token, rank).is_some() {
                return Err(format!("line {} has a token for the second time", number + 1));
            }
        }
        if (0..=255u8).any(|byte| !ids.contains_key(&[byte][..])) {
            return Err("not every byte has a rank".into());
        }
        let known = PATTERNS.iter().find(|(count, _)| *count == ids.len()).map(|(_, pattern)| *pattern);
        let pattern = if pattern.is_empty() { known.unwrap_or_default() } else { pattern };
        if pattern.is_empty() {
            let count = ids.len();
            return Err(format!("{count} ranks are of no file whose pattern is known. Hint: write it into FILE.pattern beside the file"));
        }
        let all = ids.values().chain(special.values());
        let vocab_size = all.max().map_or(0, |largest| largest.saturating_add(1));
        let model = CoreBPE::new(ids.clone(), special.clone(), pattern).map_err(|e| e.to_string())?;
        Ok(Self { model, ids, special, vocab_size, ends: Ends::default() })
    }

    /// Which tokens `encode` puts around a text; empty: none.
    pub fn set_ends(&mut self, bos: &str, eos: &str) -> Result<(), String> {
        let id = |token: &str| match token {
            "" => Ok(None),
            _ => self.id_of(token).map(Some).ok_or(format!("its special token {token} is not in it")),
        };
        self.ends = Ends { bos: id(bos)?, eos: id(eos)? };
        Ok(())
    }

    pub fn encode(&self, text: &str, add_special: bool) -> Vec<u32> {
        let ids = self.model.encode_ordinary(text);
        if !add_special {
            return ids;
        }
        self.ends.bos.into_iter().chain(ids).chain(self.ends.eos).collect()
    }

    /// Ids that stand for nothing are passed over, as the Hugging Face crate does; bytes that are no UTF-8 become
    /// U+FFFD, as in Python.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut bytes = Vec::new();
        for &id in ids {
            if !(skip_special && self.special.values().any(|&s| s == id)) {
                bytes.extend(self.model.decode_bytes(&[id]).unwrap_or_default());
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.special.get(token).or_else(|| self.ids.get(token.as_bytes())).copied()
    }
}
