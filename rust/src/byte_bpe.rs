//! Byte-level BPE of one word: bytes to ids by merges, and a memory of words that were seen.
//! The rule is tokenizers': of all pairs that can merge the one of lowest rank, of equal ones the leftmost.

use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Mutex;

/// Words longer than this are rare; merging them by a queue takes n log n instead of n * n.
const QUEUE_FROM: usize = 48;
const NO_RANK: u32 = u32::MAX;
/// Of one memory, of which there are as many as threads at once. A corpus has more words than memory should hold: a full
/// one starts anew.
const MAX_WORD_BYTES: usize = 64;
const MAX_IDS: usize = 1 << 20;

pub struct ByteBpe {
    byte_ids: [u32; 256],
    /// (left, right) as one number -> (rank, id of the merged token)
    merges: FxHashMap<u64, (u32, u32)>,
    /// Words that are tokens by themselves, whatever the merges say (`ignore_merges`).
    whole: FxHashMap<Box<[u8]>, u32>,
    memories: Mutex<Vec<Memory>>,
}

/// Ids of words, by their bytes: (first place in `ids`, how many).
#[derive(Default)]
pub struct Memory {
    words: FxHashMap<Box<[u8]>, (u32, u32)>,
    ids: Vec<u32>,
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

impl ByteBpe {
    /// `merges`: (left, right, merged) by rank.
    pub fn new(byte_ids: [u32; 256], merges: impl Iterator<Item = (u32, u32, u32)>, whole: FxHashMap<Box<[u8]>, u32>) -> Self {
        let merges = (0..).zip(merges).map(|(rank, (left, right, id))| (key(left, right), (rank, id))).collect();
        Self { byte_ids, merges, whole, memories: Mutex::default() }
    }

    /// A memory to encode with; give it back, so that the next text has it.
    pub fn take_memory(&self) -> Memory {
        self.memories.lock().map(|mut all| all.pop()).ok().flatten().unwrap_or_default()
    }
    pub fn give_back(&self, memory: Memory) {
        if let Ok(mut all) = self.memories.lock() {
            all.push(memory);
        }
    }

    /// Appends the ids of a word.
    pub fn encode(&self, word: &[u8], memory: &mut Memory, out: &mut Vec<u32>) {
        if let Some(&(at, count)) = memory.words.get(word) {
            out.extend_from_slice(&memory.ids[at as usize..(at + count) as usize]);
            return;
        }
        let begin = out.len();
        match self.whole.get(word) {
            Some(&id) => out.push(id),
            None => self.merge(word, out),
        }
        if word.len() > MAX_WORD_BYTES {
            return;
        }
        let ids = &out[begin..];
        if memory.ids.len() + ids.len() > MAX_IDS {
            *memory = Memory::default();
        }
        memory.words.insert(word.into(), (memory.ids.len() as u32, ids.len() as u32));
        memory.ids.extend_from_slice(ids);
    }

    fn merge(&self, word: &[u8], out: &mut Vec<u32>) {
        if word.len() >= QUEUE_FROM {
            return self.merge_by_queue(word, out);
        }
        let begin = out.len();
        out.extend(word.iter().map(|&b| self.byte_ids[b as usize]));
        let mut ranks: Vec<(u32, u32)> = out[begin..].windows(2).map(|pair| self.rank(pair[0], pair[1])).collect();
        loop {
            let mut best = NO_RANK;
            let mut at = 0;
            for (i, &(rank, _)) in ranks.iter().enumerate() {
                if rank < best {
                    (best, at) = (rank, i);
                }
            }
            if best == NO_RANK {
                return;
            }
            out[begin + at] = ranks[at].1;
            out.remove(begin + at + 1);
            ranks.remove(at);
            if at > 0 {
                ranks[at - 1] = self.rank(out[begin + at - 1], out[begin + at]);
            }
            if at < ranks.len() {
                ranks[at] = self.rank(out[begin + at], out[begin + at + 1]);
            }
        }
    }

    fn rank(&self, left: u32, right: u32) -> (u32, u32) {
        self.merges.get(&key(left, right)).copied().unwrap_or((NO_RANK, 0))
    }

    /// Places of symbols stay; a merged one takes the left place, and entries of pairs that are no more are passed over.
    fn merge_by_queue(&self, word: &[u8], out: &mut Vec<u32>) {
        const GONE: u32 = u32::MAX;
        let count = word.len();
        let mut ids: Vec<u32> = word.iter().map(|&b| self.byte_ids[b as usize]).collect();
        let mut next: Vec<usize> = (1..=count).collect();
        let mut before: Vec<usize> = (0..count).map(|i| i.wrapping_sub(1)).collect();
        let mut queue: BinaryHeap<Reverse<(u32, usize, u64)>> = BinaryHeap::with_capacity(count);
        let offer = |queue: &mut BinaryHeap<_>, place: usize, left: u32, right: u32| {
            let (rank, _) = self.rank(left, right);
            if rank != NO_RANK {
                queue.push(Reverse((rank, place, key(left, right))));
            }
        };
        for i in 1..count {
            offer(&mut queue, i - 1, ids[i - 1], ids[i]);
        }
        while let Some(Reverse((_, place, pair))) = queue.pop() {
            let right = next[place];
            if ids[place] == GONE || right >= count || key(ids[place], ids[right]) != pair {
                continue;
            }
            ids[place] = self.rank(ids[place], ids[right]).1;
            ids[right] = GONE;
            next[place] = next[right];
            if next[place] < count {
                before[next[place]] = place;
                offer(&mut queue, place, ids[place], ids[next[place]]);
            }
            if before[place] < count {
                offer(&mut queue, before[place], ids[before[place]], ids[place]);
            }
        }
        out.extend(ids.into_iter().filter(|&id| id != GONE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_merging_and_the_memory_agree() {
        let byte_ids = std::array::from_fn(|b| b as u32);
        // a+a, aa+aa, b+a, ba+b, a+b: overlaps on both sides
        let merges = [(97, 97, 256), (256, 256, 257), (98, 97, 258), (258, 98, 259), (97, 98, 260)];
        let bpe = ByteBpe::new(byte_ids, merges.into_iter(), FxHashMap::default());
        let mut state = 1u32;
        let mut memory = Memory::default();
        for length in (0..200).chain(3..40).chain(3..40) {
            let word: Vec<u8> = (0..length % 47)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"aab\xff"[(state >> 30) as usize]
                })
                .collect();
            let (mut plain, mut queued, mut remembered) = (Vec::new(), Vec::new(), vec![7]);
            bpe.merge(&word, &mut plain);
            bpe.merge_by_queue(&word, &mut queued);
            bpe.encode(&word, &mut memory, &mut remembered);
            assert_eq!(plain, queued, "{word:?}");
            assert_eq!(plain, remembered[1..], "{word:?}");
        }
    }

    #[test]
    fn a_full_memory_starts_anew() {
        let bpe = ByteBpe::new(std::array::from_fn(|b| b as u32), std::iter::empty(), FxHashMap::default());
        let mut memory = Memory::default();
        for i in 0..40_000u32 {
            let word = format!("{i:060}");
            let mut ids = Vec::new();
            bpe.encode(word.as_bytes(), &mut memory, &mut ids);
            assert_eq!(ids, word.bytes().map(u32::from).collect::<Vec<_>>());
            assert!(memory.ids.len() <= MAX_IDS);
        }
    }
}
