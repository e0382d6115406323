//! Prints the rendered summary of a transcript and how long it took: `cargo run --release -p meetmind --example show -- FILE [SENTENCES]`.

use std::time::Instant;
use std::{env, fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meetmind::{SummarizeInput, summarize};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let file = arguments
        .next()
        .ok_or_else(|| io::Error::other("usage: show FILE [SENTENCES]"))?;
    let sentences = arguments.next().and_then(|count| count.parse().ok());
    let input = SummarizeInput {
        transcript_base64: Some(STANDARD.encode(fs::read(file)?)),
        sentences,
        ..SummarizeInput::default()
    };
    let start = Instant::now();
    let (transcript, options) = input.read().map_err(io::Error::other)?;
    let read = start.elapsed();
    let summary = summarize(&transcript, &options);
    println!("{}", summary.markdown);
    println!(
        "read in {read:.1?}, all in {:.1?}; {:?}",
        start.elapsed(),
        summary.statistics
    );
    Ok(())
}
