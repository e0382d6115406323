//! Text to vector with a sentence-transformer from a local folder.
