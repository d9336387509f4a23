//! Trains a byte-level BPE. The rule is Hugging Face's: merge the most frequent pair, among equals the one with the
//! smallest ids. The loop is ours because theirs walks hash tables seeded anew in each process, and when two merges
//! spell the same token its result depends on that order; here the same texts always give the same bytes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{Vocab, BPE};
use tokenizers::{AddedToken, Tokenizer};

type Pair = (u32, u32);

/// What a finished training gives: tokens by id, merges by rank.
pub struct Trained {
    pub tokens: Vec<String>,
    pub merges: Vec<Pair>,
}

/// The 256 characters that stand for bytes, by byte. Source: openai/gpt-2 src/encoder.py, bytes_to_unicode.
pub fn byte_chars() -> [char; 256] {
    let printable = |b: u32| (0x21..=0x7e).contains(&b) || (0xa1..=0xac).contains(&b) || (0xae..=0xff).contains(&b);
    let mut next = 256;
    std::array::from_fn(|byte| {
        let byte = byte as u32;
        let code = if printable(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).expect("codes below 512 are characters")
    })
}

struct Corpus {
    words: Vec<Vec<u32>>,
    counts: Vec<i64>,
    pair_counts: HashMap<Pair, i64>,
    places: HashMap<Pair, Vec<u32>>, // words a pair was ever seen in; some no longer hold it
}

impl Corpus {
    fn new(words: Vec<(Box<str>, u64)>, byte_ids: &[u32; 256]) -> Self {
        let counts = words.iter().map(|(_, count)| *count as i64).collect();
        let words = words.iter().map(|(word, _)| word.bytes().map(|b| byte_ids[b as usize]).collect()).collect();
        let mut corpus = Self { words, counts, pair_counts: HashMap::new(), places: HashMap::new() };
        for i in 0..corpus.words.len() {
            let pairs: Vec<Pair> = corpus.words[i].windows(2).map(|w| (w[0], w[1])).collect();
            pairs.into_iter().for_each(|pair| corpus.change(i as u32, pair, 1));
        }
        corpus
    }

    fn change(&mut self, word: u32, pair: Pair, sign: i64) {
        *self.pair_counts.entry(pair).or_default() += sign * self.counts[word as usize];
        if sign > 0 {
            let places = self.places.entry(pair).or_default();
            if places.last() != Some(&word) {
                places.push(word);
            }
        }
    }

    /// Replaces `pair` by `token` in every word; returns the pairs that were formed, each once, in order.
    fn merge(&mut self, pair: Pair, token: u32) -> Vec<Pair> {
        let mut places = self.places.remove(&pair).unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        let mut formed = Vec::new();
        let mut changes = Vec::new();
        for i in places {
            merge_word(&mut self.words[i as usize], pair, token, &mut changes);
            for (changed, sign) in changes.drain(..) {
                self.change(i, changed, sign);
                if sign > 0 {
                    formed.push(changed);
                }
            }
        }
        formed.sort_unstable();
        formed.dedup();
        formed
    }
}

/// Left to right, without overlap: "aaa" with (a, a) becomes "Aa". Appends what becomes of neighbouring pairs.
fn merge_word(word: &mut Vec<u32>, pair: Pair, token: u32, changes: &mut Vec<(Pair, i64)>) {
    let (mut from, mut to) = (0, 0);
    while from < word.len() {
        if from + 1 == word.len() || (word[from], word[from + 1]) != pair {
            word[to] = word[from];
            from += 1;
            to += 1;
            continue;
        }
        changes.push((pair, -1));
        if to > 0 {
            changes.push(((word[to - 1], pair.0), -1));
            changes.push(((word[to - 1], token), 1));
        }
        if let Some(&right) = word.get(from + 2) {
            changes.push(((pair.1, right), -1));
            changes.push(((token, right), 1));
        }
        word[to] = token;
        from += 2;
        to += 1;
    }
    word.truncate(to);
}

/// Special tokens get the first ids, then the 256 bytes, then one token a merge until `vocab_size` tokens exist or no
/// pair occurs `min_frequency` times. Refuses a vocabulary that has no room for special tokens and bytes.
pub fn train(
    words: Vec<(Box<str>, u64)>,
    special: &[String],
    vocab_size: usize,
    min_frequency: i64,
) -> Result<Trained, String> {
    let mut tokens: Vec<String> = special.to_vec();
    let chars = byte_chars();
    let mut sorted = chars;
    sorted.sort_unstable();
    tokens.extend(sorted.iter().map(|c| c.to_string()));
    if vocab_size < tokens.len() {
        return Err(format!("vocab_size is {vocab_size}; special tokens and bytes alone are {}", tokens.len()));
    }
    let mut ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
    if ids.len() != tokens.len() {
        return Err("special tokens repeat each other or are single bytes".into());
    }
    let byte_ids: [u32; 256] = std::array::from_fn(|b| ids[&chars[b].to_string()]);

    let mut corpus = Corpus::new(words, &byte_ids);
    let mut queue: BinaryHeap<(i64, Reverse<Pair>)> =
        corpus.pair_counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
    let mut merges: Vec<Pair> = Vec::new();
    let mut known: HashSet<Pair> = HashSet::new();
    while tokens.len() < vocab_size {
        let Some((count, Reverse(pair))) = queue.pop() else { break };
        let now = corpus.pair_counts.get(&pair).copied().unwrap_or(0);
        if now != count {
            if now > 0 && now < count {
                queue.push((now, Reverse(pair)));
            }
            continue;
        }
        if count < min_frequency.max(1) {
            break;
        }
        let spelled = format!("{}{}", tokens[pair.0 as usize], tokens[pair.1 as usize]);
        let token = *ids.entry(spelled.clone()).or_insert_with(|| {
            tokens.push(spelled);
            tokens.len() as u32 - 1
        });
        // A pair can come back when another merge spells one of its halves; its first rank already covers that.
        if known.insert(pair) {
            merges.push(pair);
        }
        for formed in corpus.merge(pair, token) {
            queue.push((corpus.pair_counts[&formed], Reverse(formed)));
        }
    }
    Ok(Trained { tokens, merges })
}

/// The `tokenizer.json` of a trained vocabulary: GPT-2's pre-tokenizer and decoder, no template.
pub fn to_json(trained: &Trained, special: &[String]) -> Result<String, String> {
    let spelled = |id: u32| trained.tokens[id as usize].clone();
    let vocab: Vocab = trained.tokens.iter().cloned().zip(0..).collect();
    let merges = trained.merges.iter().map(|(a, b)| (spelled(*a), spelled(*b))).collect();
    let model = BPE::builder().vocab_and_merges(vocab, merges).build().map_err(|e| e.to_string())?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_post_processor(Some(ByteLevel::new(false, false, true)));
    let added = special.iter().map(|token| AddedToken::from(token.clone(), true));
    tokenizer.add_special_tokens(added).map_err(|e| e.to_string())?;
    tokenizer.to_string(true).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[(&str, u64)]) -> Vec<(Box<str>, u64)> {
        list.iter().map(|(w, n)| ((*w).into(), *n)).collect()
    }

    #[test]
    fn merges_the_most_frequent_pair_first_and_smaller_ids_among_equals() {
        let trained = train(words(&[("abab", 3), ("cd", 5), ("xy", 5)]), &[], 260, 2).unwrap();
        let last: Vec<&str> = trained.tokens[256..].iter().map(String::as_str).collect();
        assert_eq!(last, ["ab", "cd", "xy", "abab"]);
    }

    #[test]
    fn overlapping_pairs_merge_from_the_left() {
        let mut word = vec![1, 1, 1, 2];
        merge_word(&mut word, (1, 1), 9, &mut Vec::new());
        assert_eq!(word, [9, 1, 2]);
    }

    #[test]
    fn counts_stay_exact_through_overlapping_merges() {
        let byte_ids: [u32; 256] = std::array::from_fn(|b| b as u32);
        let mut corpus = Corpus::new(words(&[("aaaaabaab", 2), ("baaa", 3)]), &byte_ids);
        let (a, b) = (b'a' as u32, b'b' as u32);
        for (pair, token) in [((a, a), 300), ((300, 300), 301), ((300, b), 302), ((b, 300), 303)] {
            corpus.merge(pair, token);
            let mut fresh: HashMap<Pair, i64> = HashMap::new();
            for (word, count) in corpus.words.iter().zip(&corpus.counts) {
                word.windows(2).for_each(|w| *fresh.entry((w[0], w[1])).or_default() += count);
            }
            let mut kept = corpus.pair_counts.clone();
            kept.retain(|_, count| *count != 0);
            assert_eq!(kept, fresh);
        }
    }

    #[test]
    fn stops_below_the_minimum_frequency() {
        let trained = train(words(&[("ab", 1), ("cd", 2)]), &["<|endoftext|>".into()], 300, 2).unwrap();
        assert_eq!(trained.tokens.len(), 258);
        assert_eq!(trained.tokens[257], "cd");
    }

    #[test]
    fn refuses_a_vocabulary_smaller_than_its_bytes_and_doubled_special_tokens() {
        assert!(train(Vec::new(), &["<e>".into()], 256, 2).is_err());
        assert!(train(Vec::new(), &["<e>".into(), "<e>".into()], 400, 2).is_err());
    }
}
