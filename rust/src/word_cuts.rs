//! Cuts texts into words as known patterns do, without a pattern machine: each alternative of a pattern is a few lines,
//! tried in the pattern's order. What no alternative matches is a word of its own up to the next match, as in
//! tokenizers' "isolated" splits.

use crate::char_classes::{CharClasses, Class, EAST_ASIAN, LETTER, MARK, NEWLINE, NUMBER, SIGN, SPACE};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// GPT-2's, which `ByteLevel` brings itself.
    Gpt2,
    /// That of cl100k and Llama 3, with words of at most `digits` digits (Qwen 2: 1).
    Llama { digits: usize },
    /// The three patterns of DeepSeek-V3, one after the other.
    DeepSeek,
}

/// The patterns by their texts. A list stands for splits one after the other.
pub fn known(patterns: &[&str]) -> Option<Cut> {
    match patterns {
        [LLAMA3] => Some(Cut::Llama { digits: 3 }),
        [QWEN2] => Some(Cut::Llama { digits: 1 }),
        [r"\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK] => Some(Cut::DeepSeek),
        _ => None,
    }
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"##,
    r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

pub struct Cutter {
    classes: CharClasses,
    cut: Cut,
}

impl Cutter {
    pub fn new(cut: Cut) -> Result<Self, String> {
        Ok(Self { classes: CharClasses::new()?, cut })
    }

    /// Calls `word` with every word of `text`, in order; laid end to end they are the text.
    pub fn each<'t>(&self, text: &'t str, mut word: impl FnMut(&'t str)) {
        match self.cut {
            Cut::Gpt2 => self.matches(text, &mut word, |text, at| self.gpt2(text, at)),
            Cut::Llama { digits } => self.matches(text, &mut word, |text, at| self.llama(text, at, digits)),
            Cut::DeepSeek => self.deep_seek(text, &mut word),
        }
    }

    /// `end_of` gives the end of the match that begins at a place, if one does.
    fn matches<'t>(&self, text: &'t str, word: &mut impl FnMut(&'t str), end_of: impl Fn(&str, usize) -> Option<usize>) {
        let (mut done, mut at) = (0, 0);
        while at < text.len() {
            let Some(end) = end_of(text, at) else {
                at = self.classes.at(text, at).1;
                continue;
            };
            if done < at {
                word(&text[done..at]);
            }
            word(&text[at..end]);
            (done, at) = (end, end);
        }
        if done < text.len() {
            word(&text[done..]);
        }
    }

    /// The end of the run of characters from `at` on that are in one of `classes`, at most `most`.
    fn run(&self, text: &str, mut at: usize, classes: Class, most: usize) -> usize {
        for _ in 0..most {
            if at == text.len() {
                break;
            }
            let (class, next) = self.classes.at(text, at);
            if class & classes == 0 {
                break;
            }
            at = next;
        }
        at
    }

    /// As `run`, of characters that are in none of `classes`.
    fn run_of_others(&self, text: &str, mut at: usize, classes: Class) -> usize {
        while at < text.len() {
            let (class, next) = self.classes.at(text, at);
            if class & classes != 0 {
                break;
            }
            at = next;
        }
        at
    }

    /// `\s*[\r\n]+` where `newlines`, then `\s+(?!\S)|\s+`.
    fn space(&self, text: &str, at: usize, newlines: bool) -> Option<usize> {
        let (mut end, mut last, mut newline) = (at, at, None);
        while end < text.len() {
            let (class, next) = self.classes.at(text, end);
            if class & SPACE == 0 {
                break;
            }
            if newlines && class & NEWLINE != 0 {
                newline = Some(next);
            }
            (last, end) = (end, next);
        }
        if end == at {
            return None;
        }
        // What is followed by a word leaves it the last space, unless that is all there is.
        newline.or(Some(if end == text.len() || last == at { end } else { last }))
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d|␣?\p{L}+|␣?\p{N}+|␣?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    fn gpt2(&self, text: &str, at: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if bytes[at] == b'\'' {
            match bytes.get(at + 1) {
                Some(b's' | b't' | b'm' | b'd') => return Some(at + 2),
                Some(b'r' | b'v') if bytes.get(at + 2) == Some(&b'e') => return Some(at + 3),
                Some(b'l') if bytes.get(at + 2) == Some(&b'l') => return Some(at + 3),
                _ => {}
            }
        }
        let start = if bytes[at] == b' ' { at + 1 } else { at };
        if start < text.len() {
            let (class, next) = self.classes.at(text, start);
            match class & (LETTER | NUMBER | SPACE) {
                0 => return Some(self.run_of_others(text, next, SPACE | LETTER | NUMBER)),
                SPACE => {}
                same => return Some(self.run(text, next, same, usize::MAX)),
            }
        }
        self.space(text, at, false)
    }

    fn llama(&self, text: &str, at: usize, digits: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if bytes[at] == b'\'' {
            if let Some(end) = contraction(bytes, at) {
                return Some(end);
            }
        }
        let (class, next) = self.classes.at(text, at);
        if class & LETTER != 0 {
            return Some(self.run(text, next, LETTER, usize::MAX));
        }
        if class & NUMBER != 0 {
            return Some(self.run(text, at, NUMBER, digits));
        }
        let after = if next < text.len() { self.classes.at(text, next) } else { (SPACE, next) };
        if class & NEWLINE == 0 && after.0 & LETTER != 0 {
            return Some(self.run(text, after.1, LETTER, usize::MAX));
        }
        let other = |class: Class| class & (SPACE | LETTER | NUMBER) == 0;
        if other(class) || (bytes[at] == b' ' && other(after.0)) {
            let end = self.run_of_others(text, next, SPACE | LETTER | NUMBER);
            return Some(self.run(text, end, NEWLINE, usize::MAX));
        }
        self.space(text, at, true)
    }

    /// Digits in threes, then East Asian runs, are cut out; what they are and what lies between is cut by the third.
    fn deep_seek<'t>(&self, text: &'t str, word: &mut impl FnMut(&'t str)) {
        let first = |text: &str, at| self.run_if(text, at, NUMBER, 3);
        let second = |text: &str, at| self.run_if(text, at, EAST_ASIAN, usize::MAX);
        let third = |text: &str, at| self.deep_seek_words(text, at);
        self.matches(text, &mut |piece: &'t str| self.matches(piece, &mut |part: &'t str| self.matches(part, word, third), second), first);
    }

    fn run_if(&self, text: &str, at: usize, classes: Class, most: usize) -> Option<usize> {
        Some(self.run(text, at, classes, most)).filter(|&end| end > at)
    }

    fn deep_seek_words(&self, text: &str, at: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if bytes[at].is_ascii_punctuation() && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) {
            let letters = bytes[at + 1..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
            return Some(at + 1 + letters);
        }
        let (class, next) = self.classes.at(text, at);
        let after = if next < text.len() { self.classes.at(text, next) } else { (0, next) };
        if class & (NEWLINE | LETTER | SIGN) == 0 && after.0 & (LETTER | MARK) != 0 {
            return Some(self.run(text, after.1, LETTER | MARK, usize::MAX));
        }
        if class & (LETTER | MARK) != 0 {
            return Some(self.run(text, next, LETTER | MARK, usize::MAX));
        }
        if class & SIGN != 0 || (bytes[at] == b' ' && after.0 & SIGN != 0) {
            let end = self.run(text, next, SIGN, usize::MAX);
            return Some(self.run(text, end, NEWLINE, usize::MAX));
        }
        self.space(text, at, true)
    }
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)`. Case is Unicode's: the long s (C5 BF) is an s.
fn contraction(bytes: &[u8], at: usize) -> Option<usize> {
    let lower = |i: usize| bytes.get(i).map(u8::to_ascii_lowercase);
    match (lower(at + 1)?, lower(at + 2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(at + 3),
        (0xC5, Some(0xBF)) => Some(at + 3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::utils::SysRegex;

    const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    fn words_of(pattern: &str, text: &str) -> Vec<String> {
        let (mut words, mut done) = (Vec::new(), 0);
        for (from, to) in SysRegex::new(pattern).unwrap().find_iter(text) {
            words.extend([&text[done..from], &text[from..to]].map(String::from));
            done = to;
        }
        words.push(text[done..].into());
        words.retain(|word| !word.is_empty());
        words
    }

    /// Every character, in the places where alternatives meet it.
    #[test]
    fn every_character_is_cut_as_the_patterns_cut_it() {
        let all: Vec<char> = (0..0x11_0000).filter_map(char::from_u32).collect();
        for (cut, pattern) in [(Cut::Gpt2, GPT2), (Cut::Llama { digits: 3 }, LLAMA3), (Cut::Llama { digits: 1 }, QWEN2)] {
            let cutter = Cutter::new(cut).unwrap();
            for some in all.chunks(4096) {
                let text: String = some.iter().map(|c| format!("{c}a '{c}x {c}. \n{c}1'l{c} 'r{c}{c}{c} {c}\n {c}\r")).collect();
                let mut words = Vec::new();
                cutter.each(&text, |word| words.push(word.to_string()));
                assert_eq!(words, words_of(pattern, &text), "{pattern}");
            }
        }
    }
}
