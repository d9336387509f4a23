//! Which of a pattern's classes a character belongs to, as Oniguruma has them: its tables are of one version of Unicode,
//! those of other libraries of another, and words must be cut where tokenizers cuts them. So it is asked, for blocks of
//! characters as they first appear.

use std::sync::OnceLock;
use tokenizers::utils::SysRegex;

pub type Class = u8;
pub const LETTER: Class = 1; // \p{L}
pub const NUMBER: Class = 2; // \p{N}
pub const SPACE: Class = 4; // \s
pub const MARK: Class = 8; // \p{M}
pub const SIGN: Class = 16; // [\p{P}\p{S}]
pub const NEWLINE: Class = 32; // [\r\n]
pub const EAST_ASIAN: Class = 64; // DeepSeek's second pattern

const PATTERNS: [(Class, &str); 7] = [
    (LETTER, r"\p{L}"),
    (NUMBER, r"\p{N}"),
    (SPACE, r"\s"),
    (MARK, r"\p{M}"),
    (SIGN, r"[\p{P}\p{S}]"),
    (NEWLINE, r"[\r\n]"),
    (EAST_ASIAN, "[一-龥\u{3040}-ゟ゠-ヿ]"),
];
const BLOCK: usize = 256;

pub struct CharClasses {
    ascii: [Class; 128],
    blocks: Box<[OnceLock<[Class; BLOCK]>]>,
}

impl CharClasses {
    pub fn new() -> Result<Self, String> {
        let blocks = (0..0x11_0000 / BLOCK).map(|_| OnceLock::new()).collect();
        let first = classes_of_block(0)?;
        Ok(Self { ascii: std::array::from_fn(|c| first[c]), blocks })
    }

    /// Of the character that begins at `at`, and where it ends. `at` is inside the text and a character's first byte.
    #[inline]
    pub fn at(&self, text: &str, at: usize) -> (Class, usize) {
        let byte = text.as_bytes()[at];
        if byte < 128 {
            return (self.ascii[byte as usize], at + 1);
        }
        let c = text[at..].chars().next().unwrap_or('\0');
        let block = &self.blocks[c as usize / BLOCK];
        // The patterns were compiled once before: they cannot fail now.
        let classes = block.get_or_init(|| classes_of_block(c as u32 / BLOCK as u32).expect("patterns compile"));
        (classes[c as usize % BLOCK], at + c.len_utf8())
    }
}

fn classes_of_block(block: u32) -> Result<[Class; BLOCK], String> {
    let mut classes = [0; BLOCK];
    for (class, pattern) in PATTERNS {
        let pattern = SysRegex::new(pattern).map_err(|e| e.to_string())?;
        for (i, entry) in classes.iter_mut().enumerate() {
            let Some(c) = char::from_u32(block * BLOCK as u32 + i as u32) else { continue };
            if pattern.find_iter(c.encode_utf8(&mut [0; 4])).next().is_some() {
                *entry |= class;
            }
        }
    }
    Ok(classes)
}
