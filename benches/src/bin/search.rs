//! Search on 100,000 documents beside tantivy and hnsw_rs alone, on the same documents, in the same run, one query at a time.
//! Prints JSON.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use hnsw_rs::prelude::{DistL2, Distance, Hnsw};
use serde_json::{Value as Json, json};
use stuga_core::embed::{DIMENSION, embed};
use stuga_core::search::{
    Analyzer, Answer, Change, Field, FieldKind, Fields, Near, Operator, Query, Search, SearchWrite,
    TextPart, Value, VectorPart, VectorSource, analysis,
};
use stuga_core::{
    AgentName, CallCtx, Capability, InvocationId, RequestId, SystemClock, TenantId, Timestamp,
};
use stuga_local::{Local, LocalConfig, Quotas};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, TermQuery};
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, Searcher, Term, doc};
use uuid::Uuid;

/// Documents in one write.
const BULK: usize = 200;
/// Words that texts are made of; the n-th is about n times rarer than the first.
const VOCABULARY: u64 = 30_000;
/// Topics; a text takes half of its words from one.
const TOPICS: u64 = 500;
/// Candidates of each side of a hybrid query, as the host takes them.
const CANDIDATES: usize = 100;
/// Links, breadth while building and breadth of a search, as the host has them.
const GRAPH: (usize, usize, usize) = (16, 160, 128);
/// Hits that recall looks at.
const RECALL_AT: usize = 10;

#[derive(Parser)]
struct Args {
    /// Documents
    #[arg(long, default_value_t = 100_000)]
    documents: usize,
    /// Queries of each kind
    #[arg(long, default_value_t = 1_000)]
    queries: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut random = Random(7);
    let texts: Vec<String> = (0..args.documents).map(|_| random.text()).collect();
    let asked: Vec<String> = (0..args.queries).map(|_| random.query(&texts)).collect();
    let directory = tempfile::tempdir()?;
    let host = Host::fill(directory.path(), &texts).await?;
    let alone = Alone::fill(&directory.path().join("alone"), &texts)?;
    let (mut text, mut vector, mut hybrid) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tantivy, mut hnsw) = (Vec::new(), Vec::new());
    let (mut recalled, mut recalled_alone) = (0, 0);
    for words in &asked {
        // All of them for each query, so that whatever disturbs the machine disturbs all.
        let embedded = embed(words);
        let exact = alone.exact(&embedded);
        tantivy.push(timed(|| alone.words(words))?.1);
        let (found, time) = timed(|| Ok(alone.near(&embedded)))?;
        hnsw.push(time);
        recalled_alone += found
            .iter()
            .take(RECALL_AT)
            .filter(|n| exact.contains(n))
            .count();
        text.push(host.ask(words, None).await?.1);
        let (answer, time) = host.ask_near(&embedded).await?;
        vector.push(time);
        let hits = answer
            .hits
            .iter()
            .filter_map(|hit| hit.document.id.parse().ok());
        recalled += hits.filter(|n: &usize| exact.contains(n)).count();
        hybrid.push(host.ask(words, Some(&embedded)).await?.1);
    }
    let share = |hits: usize| hits as f64 / (args.queries * RECALL_AT) as f64;
    let figures = json!({
        "documents": args.documents,
        "dimension": DIMENSION,
        "host": {
            "acknowledged_per_s": host.acknowledged_per_s,
            "searchable_per_s": host.searchable_per_s,
            "graph_s": host.graph_s,
            "text": percentiles(text),
            "vector": percentiles(vector),
            "hybrid": percentiles(hybrid),
            "recall_at_10": share(recalled),
        },
        "alone": {
            "tantivy_per_s": alone.tantivy_per_s,
            "hnsw_s": alone.hnsw_s,
            "tantivy": percentiles(tantivy),
            "hnsw": percentiles(hnsw),
            "recall_at_10": share(recalled_alone),
        },
    });
    println!("{figures}");
    Ok(())
}

/// p50 and p99 in microseconds.
fn percentiles(mut times: Vec<Duration>) -> Json {
    times.sort();
    let at = |share: f64| {
        let place = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times
            .get(place)
            .map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    json!({ "p50_us": at(0.5), "p99_us": at(0.99) })
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let begin = Instant::now();
    let done = work()?;
    Ok((done, begin.elapsed()))
}

/// The local backend with all documents in it.
struct Host {
    local: Local,
    acknowledged_per_s: f64,
    searchable_per_s: f64,
    graph_s: f64,
}

impl Host {
    async fn fill(directory: &Path, texts: &[String]) -> Result<Self> {
        let quotas = Quotas {
            search_bytes: 16 << 30,
            search_documents: 10_000_000,
            ..Quotas::default()
        };
        let config = LocalConfig {
            default_quotas: quotas,
            ..LocalConfig::default()
        };
        let local = Local::open(directory, Arc::new(SystemClock), config)?;
        let mut host = Self {
            local,
            acknowledged_per_s: 0.0,
            searchable_per_s: 0.0,
            graph_s: 0.0,
        };
        let field = |name: &str, kind| Field {
            name: name.to_owned(),
            kind,
        };
        host.apply(SearchWrite::CreateIndex {
            index: "bench".to_owned(),
            fields: vec![
                field("text", FieldKind::Text(Analyzer::Sv)),
                field(
                    "vec",
                    FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
                ),
            ],
        })
        .await?;
        let begin = Instant::now();
        for (n, some) in texts.chunks(BULK).enumerate() {
            let changes = some.iter().enumerate().map(|(at, text)| Change::Put {
                id: (n * BULK + at).to_string(),
                fields: Fields::from([("text".to_owned(), Value::Text(text.clone()))]),
            });
            host.apply(SearchWrite::Change {
                index: "bench".to_owned(),
                changes: changes.collect(),
            })
            .await?;
        }
        let count = texts.len() as f64;
        host.acknowledged_per_s = count / begin.elapsed().as_secs_f64();
        host.ask("nothing", None).await?;
        host.searchable_per_s = count / begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        host.ask_near(&embed("nothing")).await?;
        settle().await?;
        host.graph_s = begin.elapsed().as_secs_f64();
        Ok(host)
    }

    async fn apply(&self, write: SearchWrite) -> Result<()> {
        let ctx = ctx()?;
        let search = self.local.search();
        search.apply(&ctx, ctx.next_write_id()?, &write).await?;
        Ok(())
    }

    async fn query(&self, query: Query) -> Result<(Answer, Duration)> {
        let (ctx, search) = (ctx()?, self.local.search());
        let begin = Instant::now();
        let answer = search.query(&ctx, "bench", &query).await?;
        Ok((answer, begin.elapsed()))
    }

    /// By words, and by nearness as well when there is a vector.
    async fn ask(&self, words: &str, near: Option<&[f32]>) -> Result<(Answer, Duration)> {
        let text = TextPart {
            words: words.to_owned(),
            fields: Vec::new(),
            operator: Operator::Any,
        };
        self.query(Query {
            text: Some(text),
            vector: near.map(part),
            ..Query::default()
        })
        .await
    }

    async fn ask_near(&self, near: &[f32]) -> Result<(Answer, Duration)> {
        self.query(Query {
            vector: Some(part(near)),
            ..Query::default()
        })
        .await
    }
}

fn part(near: &[f32]) -> VectorPart {
    VectorPart {
        field: "vec".to_owned(),
        near: Near::Vector(near.to_vec()),
    }
}

fn ctx() -> Result<CallCtx> {
    let id = Uuid::now_v7();
    Ok(CallCtx::new(
        TenantId::new("bench")?,
        AgentName::new("bench")?,
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        Timestamp::default(),
        tokio::time::Instant::now() + Duration::from_secs(600),
    ))
}

/// Waits until this process rests: nothing is indexed and no graph is built any more.
async fn settle() -> Result<()> {
    let mut resting = 0;
    while resting < 3 {
        let before = cpu()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        resting = if cpu()? - before < 0.1 {
            resting + 1
        } else {
            0
        };
    }
    Ok(())
}

/// Seconds of processor time of this process so far.
fn cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("this needs Linux")?;
    // After the name, which may hold spaces: state is the third field, times are the 14th and 15th, in hundredths.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = fields
        .iter()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}

/// Tantivy and hnsw_rs as they are, with the host's analysis and parameters.
struct Alone {
    searcher: Searcher,
    field: tantivy::schema::Field,
    graph: Hnsw<'static, f32, DistL2>,
    vectors: Vec<Vec<f32>>,
    tantivy_per_s: f64,
    hnsw_s: f64,
}

impl Alone {
    fn fill(directory: &Path, texts: &[String]) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("default")
            .set_index_option(IndexRecordOption::WithFreqs);
        let options = TextOptions::default().set_indexing_options(indexing);
        let field = schema.add_text_field("text", options);
        let index = Index::create_in_dir(directory, schema.build())?;
        let begin = Instant::now();
        let mut writer = index.writer_with_num_threads(1, 32 << 20)?;
        for text in texts {
            // Words and stems come from the host's analysis: it is the index that is measured here.
            let words = analysis::words(Analyzer::Sv, text);
            let stems: Vec<String> = words.into_iter().map(|word| word.term).collect();
            writer.add_document(doc!(field => stems.join(" ")))?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let tantivy_per_s = texts.len() as f64 / begin.elapsed().as_secs_f64();
        let vectors: Vec<Vec<f32>> = texts.iter().map(|text| embed(text)).collect();
        let (links, breadth, _) = GRAPH;
        let graph = Hnsw::new(links, texts.len(), 16, breadth, DistL2);
        let begin = Instant::now();
        for (n, vector) in vectors.iter().enumerate() {
            graph.insert_slice((vector, n));
        }
        Ok(Self {
            searcher: index.reader()?.searcher(),
            field,
            graph,
            vectors,
            tantivy_per_s,
            hnsw_s: begin.elapsed().as_secs_f64(),
        })
    }

    fn words(&self, words: &str) -> Result<usize> {
        let terms = analysis::terms(Analyzer::Sv, words)
            .into_iter()
            .map(|term| {
                let term = Term::from_field_text(self.field, &term);
                let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
                (
                    Occur::Should,
                    Box::new(query) as Box<dyn tantivy::query::Query>,
                )
            });
        let query = BooleanQuery::new(terms.collect());
        let top = TopDocs::with_limit(CANDIDATES).order_by_score();
        Ok(self.searcher.search(&query, &top)?.len())
    }

    fn near(&self, vector: &[f32]) -> Vec<usize> {
        let (_, _, breadth) = GRAPH;
        let found = self.graph.search(vector, CANDIDATES, breadth);
        found.into_iter().map(|near| near.d_id).collect()
    }

    fn exact(&self, vector: &[f32]) -> HashSet<usize> {
        let mut all: Vec<(f32, usize)> = self
            .vectors
            .iter()
            .enumerate()
            .map(|(n, other)| (DistL2.eval(vector, other), n))
            .collect();
        let last = RECALL_AT.min(all.len()).saturating_sub(1);
        all.select_nth_unstable_by(last, |a, b| a.0.total_cmp(&b.0));
        all.into_iter().take(RECALL_AT).map(|(_, n)| n).collect()
    }
}

/// SplitMix64: the same texts and queries in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A word, the frequent ones more often: about as Zipf says.
    fn word(&mut self) -> String {
        let share = self.below(1 << 32) as f64 / 2_f64.powi(32);
        spell((VOCABULARY as f64).powf(share) as u64)
    }

    /// 20 to 60 words, half of them of one topic.
    fn text(&mut self) -> String {
        let topic = self.below(TOPICS);
        let count = 20 + self.below(41);
        let words = (0..count).map(|_| match self.below(2) {
            0 => self.word(),
            _ => spell(topic.wrapping_mul(31).wrapping_add(self.below(60)) % VOCABULARY),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Three words of one of the texts and one of any.
    fn query(&mut self, texts: &[String]) -> String {
        let at = self.below(texts.len() as u64) as usize;
        let words: Vec<&str> = texts
            .get(at)
            .map_or("", String::as_str)
            .split(' ')
            .collect();
        let mut some: Vec<String> = (0..3)
            .filter_map(|_| words.get(self.below(words.len() as u64) as usize))
            .map(|word| (*word).to_owned())
            .collect();
        some.push(self.word());
        some.join(" ")
    }
}

/// The n-th word: syllables, so that words share parts as words do.
fn spell(n: u64) -> String {
    const SYLLABLES: [&str; 24] = [
        "ber", "da", "el", "for", "gran", "hus", "i", "jo", "ka", "lin", "mo", "na", "ol", "pel",
        "ra", "sten", "ta", "u", "vik", "ås", "ö", "äng", "sjö", "by",
    ];
    let mut rest = n + 24;
    let mut word = String::new();
    while rest > 0 {
        let at = usize::try_from(rest % 24).unwrap_or_default();
        word.push_str(SYLLABLES.get(at).copied().unwrap_or_default());
        rest /= 24;
    }
    word
}
