//! What a query asks for, once words to be near to have become a vector, or words to look for where nothing can make one:
//! the same for every backend.

use super::check::{check_dimension, find};
use super::{
    Analyzer, Embedding, Field, FieldKind, Near, Operator, Query, TextPart, VectorPart,
    VectorSource,
};
use crate::embed::normalise;
use crate::{Error, Result};

/// What the host's embedder is, and what it made of the words that a query asks to be near to.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// What the host embeds with.
    pub embedding: Embedding,
    /// The vector of the words, or why there is none; absent without such words.
    pub vector: Option<Result<Vec<f32>, String>>,
}

/// What to look for.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan<'q> {
    /// By words.
    pub text: Option<TextPart>,
    /// The field and what to be near to: of length 1, or empty when the words say nothing to the model, so that nothing is
    /// near to them.
    pub vector: Option<(&'q str, Vec<f32>)>,
    /// Why the query is not answered as it was asked.
    pub degraded: Option<String>,
}

impl<'q> Plan<'q> {
    /// The plan of a query that was checked against `fields`, the declaration of its index; `recorded` are the models of its
    /// vector fields.
    ///
    /// # Errors
    /// `Invalid` for a vector of another dimension.
    pub fn of(
        operation: &'static str,
        query: &'q Query,
        fields: &[Field],
        recorded: &[(String, Embedding)],
        embedded: &Embedded,
    ) -> Result<Self> {
        let mut plan = Self {
            text: query.text.clone(),
            vector: None,
            degraded: None,
        };
        let Some(VectorPart { field, near }) = &query.vector else {
            return Ok(plan);
        };
        let Some((_, recorded)) = recorded.iter().find(|(name, _)| name == field) else {
            return Err(Error::internal(operation, "a vector field has no model"));
        };
        match near {
            Near::Vector(numbers) => {
                check_dimension(operation, field, numbers, recorded)?;
                let mut vector = numbers.clone();
                normalise(operation, &mut vector)?;
                plan.vector = Some((field, vector));
            }
            Near::Words(near) => match &embedded.vector {
                Some(Ok(vector)) if *recorded == embedded.embedding => {
                    // Words that say nothing to the model are near to nothing.
                    let is_zero = vector.iter().all(|number| *number == 0.0);
                    plan.vector = Some((field, if is_zero { Vec::new() } else { vector.clone() }));
                }
                other => {
                    plan.degraded = Some(match other {
                        Some(Err(reason)) if *recorded == embedded.embedding => {
                            format!("found by words alone: {reason}")
                        }
                        _ => format!(
                            "found by words alone: the vectors of {field:?} are of {} ({}), the host embeds with {} ({}); make the index anew",
                            recorded.model,
                            recorded.dimension,
                            embedded.embedding.model,
                            embedded.embedding.dimension,
                        ),
                    });
                    plan.text.get_or_insert_with(|| TextPart {
                        words: near.clone(),
                        fields: source_of(fields, field).into_iter().collect(),
                        operator: Operator::Any,
                    });
                }
            },
        }
        Ok(plan)
    }

    /// The text fields to look into with their analyzers, in the order of the names: the chosen ones, or all of them.
    pub fn texts<'f>(&self, fields: &'f [Field]) -> Vec<(&'f str, Analyzer)> {
        let chosen = self.text.iter().flat_map(|text| &text.fields);
        let chosen: Vec<&String> = chosen.collect();
        let texts = fields.iter().filter_map(|field| match field.kind {
            FieldKind::Text(analyzer) => Some((field.name.as_str(), analyzer)),
            _ => None,
        });
        texts
            .filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name))
            .collect()
    }
}

/// The text field that a vector field is made from.
fn source_of(fields: &[Field], field: &str) -> Option<String> {
    match &find(fields, field)?.kind {
        FieldKind::Vector(VectorSource::MadeFrom(text)) => Some(text.clone()),
        _ => None,
    }
}
