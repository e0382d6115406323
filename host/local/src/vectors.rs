//! Texts as vectors: made in one place, kept in a byte a number beside the row that they stand for.
//!
//! A vector is kept as its scale and 8 bit numbers, a quarter of what it is made of. That changes a cosine by some
//! thousandths. Rows of records and events have numbers of one sequence, so one table holds the vectors of both.

use rusqlite::Connection;
use stuga_core::Result;
use stuga_core::embed;

use crate::tx::WriteTx;

mod nearest;
mod renewal;

pub(crate) use nearest::{Compared, Row, compare, latest};
pub(crate) use renewal::{Embedded, Found, Query};

/// What the largest number of a vector becomes in 8 bits.
const LARGEST: f32 = 127.0;
/// Numbers that are multiplied side by side.
const LANES: usize = 16;
/// The scale before the numbers.
const SCALE_BYTES: usize = 4;

/// A vector as it is kept.
pub(crate) struct Kept {
    model: String,
    /// Nothing when the vector is all zeros and so near to nothing.
    bytes: Vec<u8>,
}

impl Kept {
    /// A vector that `model` made, in 8 bit numbers.
    pub(crate) fn of(model: &str, vector: &[f32]) -> Self {
        Self {
            model: model.to_owned(),
            bytes: to_bytes(vector),
        }
    }

    /// What it takes of the quota.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    let largest = vector.iter().fold(0.0, |most: f32, n| most.max(n.abs()));
    if largest <= 0.0 || !largest.is_finite() {
        return Vec::new();
    }
    let scale = largest / LARGEST;
    let mut bytes = Vec::with_capacity(SCALE_BYTES + vector.len());
    bytes.extend(scale.to_le_bytes());
    // At most LARGEST in size, so it fits.
    bytes.extend(vector.iter().map(|n| (n / scale).round() as i8 as u8));
    bytes
}

/// The product of a vector with one that was kept; none when that one has another dimension.
fn product(numbers: &[f32], kept: &[u8]) -> Option<f32> {
    let (scale, kept) = kept.split_first_chunk::<SCALE_BYTES>()?;
    if kept.len() != numbers.len() {
        return None;
    }
    // Sums side by side, so that the compiler may use wide instructions.
    let mut sums = [0.0_f32; LANES];
    let (numbers, numbers_left) = numbers.as_chunks::<LANES>();
    let (kept, kept_left) = kept.as_chunks::<LANES>();
    for (numbers, kept) in numbers.iter().zip(kept) {
        for ((sum, number), kept) in sums.iter_mut().zip(numbers).zip(kept) {
            *sum += number * f32::from(*kept as i8);
        }
    }
    let left = numbers_left.iter().zip(kept_left);
    let left: f32 = left
        .map(|(number, kept)| number * f32::from(*kept as i8))
        .sum();
    Some((sums.iter().sum::<f32>() + left) * f32::from_le_bytes(*scale))
}

/// Keeps the vector of the row of that number.
pub(crate) fn keep(
    tx: &WriteTx<'_>,
    operation: &'static str,
    number: impl rusqlite::ToSql,
    vector: &Kept,
) -> Result<()> {
    tx.execute(
        operation,
        "INSERT OR REPLACE INTO vector (number, model, numbers) VALUES (?1, ?2, ?3)",
        (number, &vector.model, &vector.bytes),
    )?;
    Ok(())
}

/// Removes the vector of the row of that number, if it has one.
pub(crate) fn forget(
    tx: &WriteTx<'_>,
    operation: &'static str,
    number: impl rusqlite::ToSql,
) -> Result<()> {
    tx.execute(operation, "DELETE FROM vector WHERE number = ?1", [number])?;
    Ok(())
}

/// Makes the vector of a row that was written before vectors were kept so; says its bytes. The built-in embedder made
/// all that there was.
pub(crate) fn migrate(conn: &Connection, version: i64, text: &str) -> rusqlite::Result<u64> {
    let kept = Kept::of(embed::MODEL, &embed::embed(text));
    conn.prepare_cached("INSERT INTO vector (version, model, numbers) VALUES (?1, ?2, ?3)")?
        .execute((version, &kept.model, &kept.bytes))?;
    Ok(kept.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stuga_core::embed::{dot, embed};

    #[test]
    fn a_kept_vector_gives_the_cosine_but_for_some_thousandths() {
        let texts = [
            "Her favourite colour is blue.",
            "Hunden heter Bamse och är sju år.",
            "stuga",
            "The quarterly budget was approved with two votes against it on Tuesday.",
        ];
        for a in texts.map(embed) {
            for b in texts.map(embed) {
                let exact = dot(&a, &b);
                let kept = product(&a, &to_bytes(&b)).unwrap();
                assert!((exact - kept).abs() < 0.005, "{exact} {kept}");
            }
        }
    }

    #[test]
    fn texts_without_a_common_part_stay_at_nothing() {
        let kept = to_bytes(&[0.6, 0.0, 0.8]);
        assert_eq!(product(&[0.0, 1.0, 0.0], &kept), Some(0.0));
    }

    #[test]
    fn what_is_no_vector_of_that_dimension_is_not_compared() {
        assert!(to_bytes(&embed("?! ...")).is_empty());
        assert_eq!(product(&[1.0; 3], &[]), None);
        assert_eq!(product(&[1.0; 3], &to_bytes(&embed("stuga"))), None);
    }
}
