//! How the vectors in memory follow SQLite: what came and what went since the last look, in one snapshot.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};
use stuga_core::embed::normalise;

use super::{DEAD_SHARE, Flat, Set, Vectors, read};

impl Vectors {
    /// Sees every change of SQLite; only the first ones, when nothing is loaded, unless `follows`.
    pub(in crate::search) fn catch_up(
        &self,
        conn: &Connection,
        index: u64,
        field: &str,
        gone_floor: u64,
        follows: bool,
    ) -> rusqlite::Result<()> {
        if self.read().is_loaded && !follows {
            return Ok(());
        }
        // One snapshot: a row that is replaced must not be missed on both sides.
        let snapshot = conn.unchecked_transaction()?;
        let set = self.read();
        let (began, is_behind) = (set.position, set.is_loaded && set.position < gone_floor);
        drop(set);
        let latest = last_seq(&snapshot, index)?;
        if latest <= began && self.read().is_loaded {
            return Ok(());
        }
        let added = self.added(&snapshot, index, field, began)?;
        let gone = match is_behind {
            false => gone_after(&snapshot, index, began)?,
            true => self.missing(&snapshot, index, field, latest)?,
        };
        let mut set = self.write();
        if set.position != began {
            // Somebody else did the same meanwhile and saw at least as much of what was acknowledged before.
            drop(set);
            return self.catch_up(conn, index, field, gone_floor, follows);
        }
        set.is_loaded = true;
        set.position = latest.max(began);
        set.flat.rows.extend(added.rows);
        set.flat.numbers.extend(added.numbers);
        // Much of what is gone never had a vector, or came and went unseen.
        let Set {
            flat, graph, dead, ..
        } = &mut *set;
        let in_graph = |seq| {
            graph
                .as_ref()
                .is_some_and(|graph| read(graph).contains(seq))
        };
        let seqs = gone.into_iter().map(|(_, seq)| seq);
        dead.extend(seqs.filter(|seq| flat.rows.binary_search(seq).is_ok() || in_graph(*seq)));
        self.compact(&mut set);
        Ok(())
    }

    fn added(
        &self,
        conn: &Connection,
        index: u64,
        field: &str,
        after: u64,
    ) -> rusqlite::Result<Flat> {
        let mut statement = conn.prepare_cached(
            "SELECT seq, vector FROM search_vector WHERE search_index = ?1 AND field = ?2 AND seq > ?3 ORDER BY seq",
        )?;
        let mut rows = statement.query((index, field, after))?;
        let mut added = Flat::default();
        let mut vector = Vec::with_capacity(self.dimension);
        while let Some(row) = rows.next()? {
            vector.clear();
            let (numbers, _) = row.get_ref(1)?.as_blob()?.as_chunks::<4>();
            vector.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            // Checked when they were stored; what does not fit would only mislead.
            if vector.len() == self.dimension && normalise("search.query", &mut vector).is_ok() {
                added.rows.push(row.get(0)?);
                added.numbers.extend_from_slice(&vector);
            }
        }
        Ok(added)
    }

    /// Rows that are in memory and no longer in SQLite, when what was gone is no longer remembered there.
    fn missing(
        &self,
        conn: &Connection,
        index: u64,
        field: &str,
        latest: u64,
    ) -> rusqlite::Result<Vec<(u64, u64)>> {
        let mut statement = conn.prepare_cached(
            "SELECT seq FROM search_vector WHERE search_index = ?1 AND field = ?2",
        )?;
        let alive = statement
            .query_map((index, field), |row| row.get(0))?
            .collect::<rusqlite::Result<HashSet<u64>>>()?;
        let set = self.read();
        let mut known = set.flat.rows.clone();
        if let Some(graph) = &set.graph {
            known.extend(read(graph).vectors().map(|(seq, _)| seq));
        }
        let gone = known.into_iter().filter(|seq| !alive.contains(seq));
        Ok(gone.map(|seq| (latest, seq)).collect())
    }

    /// Takes dead rows out of the part that is looked at one by one, when they are many.
    fn compact(&self, set: &mut Set) {
        let in_flat = |seq: &u64| set.flat.rows.binary_search(seq).is_ok();
        let dead = set.dead.iter().filter(|seq| in_flat(seq)).count();
        if dead == 0 || dead.saturating_mul(DEAD_SHARE) < set.flat.rows.len() {
            return;
        }
        let mut kept = Flat::default();
        for (seq, vector) in set.flat.vectors(self.dimension) {
            if !set.dead.contains(&seq) {
                kept.rows.push(seq);
                kept.numbers.extend_from_slice(vector);
            }
        }
        let gone = std::mem::replace(&mut set.flat, kept).rows;
        set.dead.retain(|seq| gone.binary_search(seq).is_err());
    }
}

/// The latest change of the index; 0 when it is gone.
fn last_seq(conn: &Connection, index: u64) -> rusqlite::Result<u64> {
    let found = conn
        .prepare_cached("SELECT last_seq FROM search_index WHERE id = ?1")?
        .query_row([index], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Changes after `after` with the rows that they took away.
fn gone_after(conn: &Connection, index: u64, after: u64) -> rusqlite::Result<Vec<(u64, u64)>> {
    conn.prepare_cached(
        "SELECT change, seq FROM search_gone WHERE search_index = ?1 AND change > ?2 ORDER BY change",
    )?
    .query_map((index, after), |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}
