//! Whether the end of a store's log is whole.
//!
//! SQLite reads its write-ahead log up to the last transaction that is complete and passes over the rest without a word. What
//! is passed over is mostly a write that a crash cut off, which nobody was told of. It may also be what a disk has lost, so
//! it is looked at here, before anything is written over it, and said. This reads the format that
//! <https://www.sqlite.org/fileformat2.html#walformat> describes, and changes nothing.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The first word of a log; its last bit says how the words under a checksum are ordered.
const MAGIC: u32 = 0x377f_0682;
const PAGE_BYTES: [u32; 2] = [512, 65_536];

/// The log of a database.
pub(crate) fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Bytes at the end of a log that belong to no complete transaction and were written after the last one; 0 when it ends
/// as it should, is empty, or is not there. Reads it once. What lies there from before the log was begun anew counts for
/// nothing: it is in the database.
///
/// While somebody writes, what is under way is counted as well.
pub(crate) fn unfinished(log: &Path) -> io::Result<u64> {
    let file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let len = file.metadata()?.len();
    let mut read = BufReader::new(file);
    let mut header = [0; HEADER_BYTES];
    if len == 0 {
        return Ok(0);
    }
    if fill(&mut read, &mut header)? < HEADER_BYTES {
        return Ok(len);
    }
    match Log::of(&header) {
        Some(log) => log.unfinished(&mut read),
        None => Ok(len),
    }
}

/// What the header of a log says.
struct Log {
    big_endian: bool,
    page: usize,
    salts: [u32; 2],
    sum: [u32; 2],
}

impl Log {
    /// None when it is damaged.
    fn of(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let word = |at| word(header, at, true);
        let (magic, page) = (word(0)?, word(2)?);
        let is_page = page.is_power_of_two() && (PAGE_BYTES[0]..=PAGE_BYTES[1]).contains(&page);
        if magic & !1 != MAGIC || !is_page {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let sum = checksum([0; 2], header.get(..24)?, big_endian);
        (sum == [word(6)?, word(7)?]).then_some(Self {
            big_endian,
            page: page as usize,
            salts: [word(4)?, word(5)?],
            sum,
        })
    }

    fn unfinished(self, read: &mut impl Read) -> io::Result<u64> {
        let mut frame = vec![0; FRAME_HEADER_BYTES + self.page];
        let (mut sum, mut whole) = (self.sum, true);
        // Bytes from the end of the last complete transaction: read so far, and those of them that belong to this log.
        let (mut since, mut unfinished) = (0_u64, 0_u64);
        loop {
            let len = fill(read, &mut frame)?;
            if len == 0 {
                return Ok(unfinished);
            }
            since += len as u64;
            let part = frame.get(..len).unwrap_or_default();
            let named = |at| word(part, at, true);
            let salts = [named(2), named(3)];
            let is_ours = salts == self.salts.map(Some);
            // A file that grew and never got its content reads as nothing.
            let is_void = salts == [Some(0); 2] || salts[1].is_none();
            if is_ours || is_void {
                unfinished = since;
            }
            if len < frame.len() {
                return Ok(unfinished);
            }
            whole = whole && is_ours;
            if whole {
                let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
                sum = checksum(sum, head.get(..8).unwrap_or_default(), self.big_endian);
                sum = checksum(sum, page, self.big_endian);
                whole = [named(4), named(5)] == sum.map(Some);
                let ends_transaction = named(1).is_some_and(|pages| pages > 0);
                if whole && ends_transaction {
                    (since, unfinished) = (0, 0);
                }
            }
        }
    }
}

/// The word number `at`.
fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let bytes = bytes.get(at * 4..)?.first_chunk()?;
    Some(match big_endian {
        true => u32::from_be_bytes(*bytes),
        false => u32::from_le_bytes(*bytes),
    })
}

/// Goes on with a checksum over pairs of words.
fn checksum([mut first, mut second]: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        let word = |at| word(pair, at, big_endian).unwrap_or_default();
        first = first.wrapping_add(word(0)).wrapping_add(second);
        second = second.wrapping_add(word(1)).wrapping_add(first);
    }
    [first, second]
}

/// Reads until the buffer is full or there is no more; how much was read.
fn fill(read: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// A log as a crash leaves it: rows of a thousand bytes, one in each transaction.
    fn log(rows: u32) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let conn = Connection::open(&database).unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        conn.execute_batch("CREATE TABLE t (x)").unwrap();
        for _ in 0..rows {
            conn.execute("INSERT INTO t VALUES (zeroblob(1000))", [])
                .unwrap();
        }
        fs::read(beside(&database)).unwrap()
    }

    fn looked(bytes: &[u8]) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, bytes).unwrap();
        unfinished(&path).unwrap()
    }

    #[test]
    fn a_log_that_ends_with_a_transaction_is_whole() {
        for rows in [0, 1, 20] {
            assert_eq!(looked(&log(rows)), 0);
        }
        assert_eq!(looked(&[]), 0);
        let nowhere = tempfile::tempdir().unwrap().path().join("log");
        assert_eq!(unfinished(&nowhere).unwrap(), 0);
    }

    #[test]
    fn wherever_a_log_is_cut_what_is_left_of_a_transaction_is_counted() {
        let log = log(3);
        let frame = FRAME_HEADER_BYTES + 4_096;
        let ends: Vec<usize> = (0..)
            .map(|frames| HEADER_BYTES + frames * frame)
            .take_while(|end| *end <= log.len())
            // The number of pages after it stands in the last frame of a transaction alone.
            .filter(|end| *end == HEADER_BYTES || log[end - frame + 4..][..4] != [0; 4])
            .collect();
        for len in (HEADER_BYTES..=log.len()).step_by(97).chain(ends.clone()) {
            let before = ends.iter().rev().find(|end| **end <= len).unwrap();
            assert_eq!(looked(&log[..len]), (len - before) as u64, "cut at {len}");
        }
        assert_eq!(looked(&log[..7]), 7);
    }

    #[test]
    fn a_damaged_frame_and_all_of_this_log_behind_it_are_counted() {
        let mut log = log(5);
        let frame = FRAME_HEADER_BYTES + 4_096;
        let len = log.len() as u64;
        let from_last = |log: &[u8]| looked(log);
        *log.last_mut().unwrap() ^= 1;
        assert!((frame as u64..len).contains(&from_last(&log)));
        log[HEADER_BYTES + 100] ^= 1;
        assert_eq!(looked(&log), len - HEADER_BYTES as u64);
        log[3] ^= 8;
        assert_eq!(looked(&log), len);
    }

    #[test]
    fn what_stands_behind_from_an_earlier_log_counts_for_nothing_and_a_void_does() {
        let (earlier, mut log) = (log(9), log(1));
        let len = log.len();
        log.extend_from_slice(&earlier[len..]);
        assert_eq!(looked(&log), 0);
        log.truncate(len);
        log.resize(len + 5_000, 0);
        assert_eq!(looked(&log), 5_000);
    }
}
