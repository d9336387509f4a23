//! Compressed files as streams of bytes: gzip (members one after the other included) and Zstandard.

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Counts what was read of the compressed file, for progress.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(out)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

pub struct Unpacker {
    reader: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Unpacker {
    pub fn open(path: &str, zstd: bool) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| format!("cannot be opened: {e}"))?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = BufReader::with_capacity(1 << 18, Counted { file, bytes: bytes.clone() });
        let reader: Box<dyn Read + Send> = if zstd {
            Box::new(zstd::stream::read::Decoder::with_buffer(counted).map_err(|e| e.to_string())?)
        } else {
            Box::new(flate2::bufread::MultiGzDecoder::new(counted))
        };
        Ok(Self { reader, bytes })
    }

    /// The next bytes; 0 at the end. A file that ends inside its compressed data is an error.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, String> {
        loop {
            match self.reader.read(out) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(format!("cannot be unpacked: {e}")),
                Ok(count) => return Ok(count),
            }
        }
    }

    /// Bytes of the compressed file read so far.
    pub fn consumed(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
