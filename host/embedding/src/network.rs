//! Texts through the network: tokens, their vectors, the mean of those that are no padding, length 1.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use candle_transformers::models::bert::BertModel;
use stuga_core::embed::normalise;
use stuga_core::{Error, Result};
use tokenizers::{Encoding, Tokenizer, TruncationParams};

use crate::OPERATION;

/// Texts that go through the network at once: bounds its memory, and how long work goes on that nobody waits for.
const BATCH_TEXTS: usize = 8;

/// A network with its tokenizer.
pub(crate) struct Network {
    model: BertModel,
    tokenizer: Tokenizer,
    pad: u32,
    dimension: usize,
}

impl Network {
    pub(crate) fn new(
        model: BertModel,
        mut tokenizer: Tokenizer,
        tokens: usize,
        pad: usize,
        dimension: usize,
    ) -> Result<Self> {
        let truncation = TruncationParams {
            max_length: tokens,
            ..TruncationParams::default()
        };
        // Padding is done here, batch by batch; what the file says of it is for other uses.
        tokenizer
            .with_padding(None)
            .with_truncation(Some(truncation))
            .map_err(|e| {
                Error::invalid("embedder.open", "the tokenizer cannot cut texts").with_source(e)
            })?;
        Ok(Self {
            model,
            tokenizer,
            pad: u32::try_from(pad).unwrap_or_default(),
            dimension,
        })
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vectors of `texts`. Blocks; stops between two batches once `stop` is set.
    pub(crate) fn embed(&self, texts: &[String], stop: &AtomicBool) -> Result<Vec<Vec<f32>>> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encoded = self.tokenizer.encode_batch_fast(texts, true).map_err(|e| {
            Error::internal(OPERATION, "a text cannot be cut into tokens").with_source(e)
        })?;
        // Texts of like length together, so that little is computed on padding.
        let mut order: Vec<(usize, &Encoding)> = encoded.iter().enumerate().collect();
        order.sort_by_key(|(_, encoding)| encoding.len());
        let mut vectors = vec![Vec::new(); encoded.len()];
        for batch in order.chunks(BATCH_TEXTS) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::timeout(
                    OPERATION,
                    "nobody waits for the vectors any more",
                ));
            }
            let encodings: Vec<&Encoding> = batch.iter().map(|(_, encoding)| *encoding).collect();
            let made = self.forward(&encodings).map_err(|e| {
                Error::internal(OPERATION, "the embedding model failed").with_source(e)
            })?;
            for ((at, encoding), mut vector) in batch.iter().zip(made) {
                // Nothing but the marks of beginning and end.
                if encoding
                    .get_special_tokens_mask()
                    .iter()
                    .all(|mask| *mask == 1)
                {
                    vector.fill(0.0);
                }
                normalise(OPERATION, &mut vector)?;
                if let Some(place) = vectors.get_mut(*at) {
                    *place = vector;
                }
            }
        }
        Ok(vectors)
    }

    /// The mean of each text's token vectors.
    fn forward(&self, batch: &[&Encoding]) -> candle_core::Result<Vec<Vec<f32>>> {
        let longest = batch
            .iter()
            .map(|encoding| encoding.len())
            .max()
            .unwrap_or(0);
        let shape = (batch.len(), longest);
        let padded = |numbers: fn(&Encoding) -> &[u32], pad: u32| {
            let mut rows = Vec::with_capacity(batch.len() * longest);
            for encoding in batch {
                let numbers = numbers(encoding).iter().copied();
                rows.extend(numbers.chain(std::iter::repeat(pad)).take(longest));
            }
            Tensor::from_vec(rows, shape, &Device::Cpu)
        };
        let ids = padded(Encoding::get_ids, self.pad)?;
        let types = padded(Encoding::get_type_ids, 0)?;
        let mask = padded(Encoding::get_attention_mask, 0)?;
        let tokens = self.model.forward(&ids, &types, Some(&mask))?;
        let weights = mask.to_dtype(tokens.dtype())?;
        let sum = tokens.broadcast_mul(&weights.unsqueeze(2)?)?.sum(1)?;
        let count = weights.sum_keepdim(1)?;
        sum.broadcast_div(&count)?.to_vec2()
    }
}
