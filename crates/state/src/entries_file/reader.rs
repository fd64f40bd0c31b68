use super::{BLOCK, BLOCK_HEAD_BYTES, CHECKSUM_BYTES, FOOTER, FOOTER_BYTES, HEADER_BYTES, MAGIC, VERSION};
use crate::StateError;
use crate::backend::Each;
use crate::blocks::varint;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Room that is made at once for a block whose length is not yet known to be right.
const STEP_BYTES: u64 = 1 << 20;

/// Reads an entries file from its beginning to its end. See the module's page.
///
/// # Contract
/// What is handed out was checked against its checksum. That the file is whole is known when
/// [`read_all`](Self::read_all) has returned.
#[derive(Debug)]
pub struct EntriesReader<R: Read> {
    input: R,
    path: PathBuf,
    block: Vec<u8>,
    last_key: Vec<u8>,
    entries: u64,
    blocks: u64,
}

impl EntriesReader<BufReader<File>> {
    /// Opens the file at `path` and checks its header.
    ///
    /// # Errors
    /// The file cannot be read; [`StateError::CorruptFile`] if it is no entries file, or one of another version.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let file = File::open(path).map_err(|e| StateError::io(path, e))?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: Read> EntriesReader<R> {
    /// Reads from `input` and checks the header; errors name `path`.
    ///
    /// # Errors
    /// As [`open`](EntriesReader::open).
    pub fn new(input: R, path: &Path) -> Result<Self, StateError> {
        let mut reader =
            Self { input, path: path.into(), block: Vec::new(), last_key: Vec::new(), entries: 0, blocks: 0 };
        reader.take(HEADER_BYTES as u64, "its header")?;
        let (magic, version) = reader.block.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(reader.corrupt("it does not begin as an entries file"));
        }
        match u16::from_le_bytes([version[0], version[1]]) {
            VERSION => Ok(reader),
            other => {
                let message = format!("it is of version {other}; this program reads version {VERSION}");
                Err(reader.corrupt(message))
            }
        }
    }

    /// Calls `each` with every key and value, in key order, until it fails.
    ///
    /// # Errors
    /// The file cannot be read; [`StateError::CorruptFile`] if it is not what was written; or `each` failed.
    pub fn read_all(&mut self, each: &mut Each<'_>) -> Result<(), StateError> {
        while self.read_block(each)? {}
        Ok(())
    }

    /// The next block; false when the file has ended as it should.
    fn read_block(&mut self, each: &mut Each<'_>) -> Result<bool, StateError> {
        self.block.clear();
        self.take(1, "a block")?;
        match self.block[0] {
            BLOCK => {}
            FOOTER => return self.read_footer().map(|()| false),
            other => return Err(self.corrupt(format!("block {}: it begins with {other}", self.blocks))),
        }
        self.take(BLOCK_HEAD_BYTES as u64 - 1, "a block")?;
        let (entries, length) = (number32(&self.block[1..5]), number32(&self.block[5..9]));
        self.take(u64::from(length), "a block")?;
        self.check()?;
        let payload = std::mem::take(&mut self.block);
        let read = self.read_payload(&payload[BLOCK_HEAD_BYTES..], entries, each);
        self.block = payload;
        self.blocks += 1;
        read.map(|()| true)
    }

    fn read_payload(&mut self, mut payload: &[u8], entries: u32, each: &mut Each<'_>) -> Result<(), StateError> {
        for entry in 0..entries {
            let shared = varint(&mut payload).ok_or_else(|| self.misfit())?;
            let rest = varint(&mut payload).ok_or_else(|| self.misfit())?;
            let value = varint(&mut payload).ok_or_else(|| self.misfit())?;
            if entry == 0 && shared > 0 {
                return Err(self.misfit());
            }
            let rest = payload.split_off(..rest).ok_or_else(|| self.misfit())?;
            let value = payload.split_off(..value).ok_or_else(|| self.misfit())?;
            let tail = self.last_key.get(shared..).ok_or_else(|| self.misfit())?;
            if self.entries > 0 && rest <= tail {
                return Err(self.corrupt(format!("block {}: keys are not ascending", self.blocks)));
            }
            self.last_key.truncate(shared);
            self.last_key.extend_from_slice(rest);
            self.entries += 1;
            each(&self.last_key, value)?;
        }
        if payload.is_empty() { Ok(()) } else { Err(self.misfit()) }
    }

    fn read_footer(&mut self) -> Result<(), StateError> {
        self.take(FOOTER_BYTES as u64 - 1, "its footer")?;
        self.check()?;
        let (entries, blocks) = (number64(&self.block[1..9]), number64(&self.block[9..17]));
        if (entries, blocks) != (self.entries, self.blocks) {
            return Err(self.corrupt(format!(
                "it holds {} entries in {} blocks, but {entries} in {blocks} were written",
                self.entries, self.blocks
            )));
        }
        match self.input.read(&mut [0]).map_err(|e| StateError::io(&self.path, e))? {
            0 => Ok(()),
            _ => Err(self.corrupt("something follows its footer")),
        }
    }

    /// Reads the checksum behind what was taken.
    fn check(&mut self) -> Result<(), StateError> {
        let checksum = xxh3_64_with_seed(&self.block, self.blocks);
        let length = self.block.len();
        self.take(CHECKSUM_BYTES as u64, "a checksum")?;
        if number64(&self.block[length..]) != checksum {
            return Err(self.corrupt(format!("block {}: the checksum does not fit", self.blocks)));
        }
        self.block.truncate(length);
        Ok(())
    }

    /// Appends `length` bytes of the file to the block.
    fn take(&mut self, mut length: u64, what: &str) -> Result<(), StateError> {
        while length > 0 {
            // A length that is damaged must not make us ask for more memory than the file has bytes.
            let step = length.min(STEP_BYTES);
            let from = self.block.len();
            self.block.resize(from + step as usize, 0);
            self.input.read_exact(&mut self.block[from..]).map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => self.corrupt(format!("it ends within {what} (block {})", self.blocks)),
                _ => StateError::io(&self.path, e),
            })?;
            length -= step;
        }
        Ok(())
    }

    fn misfit(&self) -> StateError {
        self.corrupt(format!("block {}: its entries do not fill it", self.blocks))
    }

    fn corrupt(&self, message: impl Into<String>) -> StateError {
        StateError::corrupt_file(&self.path, message)
    }
}

fn number32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn number64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
