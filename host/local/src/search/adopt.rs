//! Documents and indices that another side wrote.
//!
//! Each document of a change stands or loses by itself, by its version; an index by when it was made. What is derived follows the sequence of this store, so
//! every row gets a new place in it, whatever its version.

use stuga_core::search::{Change, Field, Outcome, SearchAck, SearchWrite, Value};
use stuga_core::standby::Adopted;
use stuga_core::{Result, Write};

use super::documents::{Applying, New, Standing};
use super::indices::{NewIndex, create, drop_index, find};
use super::prepare::Prepared;
use crate::effects::{Elsewhere, other_answer};
use crate::scope::Scope;
use crate::tx::WriteTx;

/// Makes true what another side made of a write.
pub(super) fn adopt(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    write: &SearchWrite,
    prepared: &Prepared,
    origin: &Elsewhere<'_, SearchAck>,
) -> Result<Adopted> {
    let (operation, made) = (write.operation(), origin.made);
    match (write, &made.ack) {
        (SearchWrite::CreateIndex { index, fields }, SearchAck::Created(_)) => {
            create_index(tx, scope, (index, fields), prepared, origin)
        }
        (SearchWrite::DropIndex { .. }, SearchAck::Dropped(_)) if origin.known.is_some() => {
            Ok(Adopted::Stands)
        }
        (SearchWrite::DropIndex { index }, SearchAck::Dropped(_)) => {
            match find(tx, operation, scope, index)? {
                Some(found) if origin.comes_before_time(found.created_at.as_millis()) => {
                    return Ok(Adopted::Superseded);
                }
                Some(found) => drop_index(tx, operation, &found)?,
                None => {}
            }
            Ok(Adopted::Stands)
        }
        (SearchWrite::Change { index, changes }, SearchAck::Changed(outcomes))
            if changes.len() == outcomes.len() =>
        {
            let Some(declared) = find(tx, operation, scope, index)? else {
                return Ok(Adopted::Superseded);
            };
            let mut applying = Applying::of(operation, &declared, prepared)?;
            let (mut any_stands, mut any_lacks) = (false, false);
            for (at, (change, outcome)) in changes.iter().zip(outcomes).enumerate() {
                let mut one = One {
                    applying: &mut applying,
                    outcome,
                    origin,
                };
                match one.adopt(tx, change, prepared, at)? {
                    Fate::Stands => any_stands = true,
                    Fate::Lost => {}
                    Fate::Lacks => any_lacks = true,
                }
            }
            applying.finish(tx)?;
            match any_stands && !any_lacks {
                true => Ok(Adopted::Stands),
                false => Ok(Adopted::Superseded),
            }
        }
        _ => Err(other_answer(operation)),
    }
}

/// Makes an index, unless one with equal fields or a later one stands.
fn create_index(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    (name, fields): (&str, &[Field]),
    prepared: &Prepared,
    origin: &Elsewhere<'_, SearchAck>,
) -> Result<Adopted> {
    const OPERATION: &str = "search.create-index";
    match find(tx, OPERATION, scope, name)? {
        Some(found) if found.fields == fields => return Ok(Adopted::Stands),
        Some(found) if origin.comes_before_time(found.created_at.as_millis()) => {
            return Ok(Adopted::Superseded);
        }
        Some(found) => drop_index(tx, OPERATION, &found)?,
        // It was here, and was dropped since.
        None if origin.known.is_some() => return Ok(Adopted::Superseded),
        None => {}
    }
    let index = NewIndex {
        name,
        fields,
        id: tx.next_version(),
        created_at: origin.made.at.as_millis(),
    };
    create(tx, OPERATION, scope, &index, prepared)?;
    Ok(Adopted::Stands)
}

/// What became of one document of a change.
enum Fate {
    Stands,
    /// A later write stands, or it was removed since.
    Lost,
    /// There is nothing that it could change: it was removed, or never known here.
    Lacks,
}

impl From<bool> for Fate {
    fn from(stands: bool) -> Self {
        if stands { Self::Stands } else { Self::Lost }
    }
}

/// One document of a change.
struct One<'a, 'd> {
    applying: &'a mut Applying<'d>,
    outcome: &'a Outcome,
    origin: &'a Elsewhere<'a, SearchAck>,
}

impl One<'_, '_> {
    /// Makes true what became of it.
    fn adopt(
        &mut self,
        tx: &mut WriteTx<'_>,
        change: &Change,
        prepared: &Prepared,
        at: usize,
    ) -> Result<Fate> {
        self.applying.check(change)?;
        let (made, version) = (self.origin.made, self.outcome.version);
        let standing = self.applying.standing(tx, change.id())?;
        match (change, &standing) {
            (Change::Delete { .. }, _) if self.origin.known.is_some() => return Ok(Fate::Stands),
            (Change::Delete { .. }, None) => return Ok(Fate::Stands),
            (Change::Delete { .. }, Some(standing)) => {
                if self
                    .origin
                    .comes_before(standing.version, standing.updated_at)
                {
                    return Ok(Fate::Lost);
                }
                self.applying.delete(tx, standing)?;
                return Ok(Fate::Stands);
            }
            (_, Some(standing)) if standing.version > version => return Ok(Fate::Lost),
            (_, Some(standing)) if standing.version == version => {
                return Ok(is_same(change, standing).into());
            }
            (Change::Update { .. }, None) => return Ok(Fate::Lacks),
            // It was here, and was removed since.
            (Change::Put { .. }, None) if self.origin.known.is_some() => return Ok(Fate::Lost),
            _ => {}
        }
        let made_at = made.at.as_millis();
        let before = standing.as_ref().filter(|_| self.outcome.existed);
        let new = New {
            id: change.id(),
            seq: tx.next_version(),
            version,
            created_at: before.map_or(made_at, |before| before.created_at),
            updated_at: made_at,
        };
        let vectors = prepared.made(at);
        self.applying
            .write(tx, change, vectors, standing.as_ref(), &new)?;
        Ok(Fate::Stands)
    }
}

/// Whether a document of equal version holds what the change brings, as far as its row tells.
fn is_same(change: &Change, standing: &Standing) -> bool {
    let mut brought = change.values().iter();
    brought.all(|(name, value)| {
        matches!(value, Value::Vector(_))
            || standing
                .fields
                .iter()
                .any(|(other, stands)| other == name && stands == value)
    })
}
