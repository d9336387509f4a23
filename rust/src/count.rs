//! Counts the words of a corpus as GPT-2's pre-tokenizer cuts them. Counts are sums, so neither the number of threads
//! nor the order of the texts can change them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokenizers::utils::SysRegex;

/// GPT-2's pattern, matched by the same engine as in tokenizers' `ByteLevel`. Source: openai/gpt-2 src/encoder.py; the
/// oracle tests hold the trained vocabulary against the Python package's.
const GPT2_PATTERN: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

type Counts = HashMap<Box<str>, u64>;

pub struct WordCounter {
    threads: usize,
    counts: Counts,
}

impl WordCounter {
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), counts: Counts::new() }
    }

    /// Adds a batch of texts, shared out among the threads.
    pub fn add(&mut self, texts: &[String]) -> Result<(), String> {
        let next = AtomicUsize::new(0);
        let parts: Result<Vec<Counts>, String> = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.threads.min(texts.len())).map(|_| scope.spawn(|| count_some(texts, &next))).collect();
            workers.into_iter().map(|w| w.join().unwrap_or_else(|_| Err("a counting thread panicked".into()))).collect()
        });
        for part in parts? {
            if self.counts.is_empty() {
                self.counts = part;
                continue;
            }
            for (word, count) in part {
                *self.counts.entry(word).or_default() += count;
            }
        }
        Ok(())
    }

    /// All words with their counts, in byte order.
    pub fn into_sorted(self) -> Vec<(Box<str>, u64)> {
        let mut words: Vec<_> = self.counts.into_iter().collect();
        words.sort_unstable();
        words
    }
}

/// One thread's share: takes the next text until none is left.
fn count_some(texts: &[String], next: &AtomicUsize) -> Result<Counts, String> {
    let pattern = SysRegex::new(GPT2_PATTERN).map_err(|e| e.to_string())?;
    let mut counts = Counts::new();
    while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut end = 0;
        for (from, to) in pattern.find_iter(text) {
            add_word(&mut counts, &text[end..from]);
            add_word(&mut counts, &text[from..to]);
            end = to;
        }
        add_word(&mut counts, &text[end..]);
    }
    Ok(counts)
}

fn add_word(counts: &mut Counts, word: &str) {
    if word.is_empty() {
        return;
    }
    match counts.get_mut(word) {
        Some(count) => *count += 1,
        None => {
            counts.insert(word.into(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_do_not_depend_on_threads_or_order() {
        let texts: Vec<String> = (0..40).map(|i| format!("def f{i}(x):\n    return  x's + {i}\n")).collect();
        let count = |threads: usize, texts: &[String]| {
            let mut counter = WordCounter::new(threads);
            for batch in texts.chunks(7) {
                counter.add(batch).unwrap();
            }
            counter.into_sorted()
        };
        let one = count(1, &texts);
        let reversed: Vec<String> = texts.iter().rev().cloned().collect();
        assert_eq!(one, count(3, &reversed));
        assert!(one.contains(&("'s".into(), 40)));
        assert_eq!(one.iter().map(|(w, n)| w.len() as u64 * n).sum::<u64>(), texts.iter().map(|t| t.len() as u64).sum::<u64>());
    }
}
