//! Answers of the cloud's model that break off or fall silent, at a place of the stream that the test chooses.
//!
//! No time is measured here: see [`crate::silent`].

use std::net::SocketAddr;

use serde_json::{Value, json};
use stuga_fault_proxy::{Fault, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::problem;
use crate::world::{CLOUD_MODEL, Host, LOCAL_MODEL, LOOK_EVERY, LOOKS_MAX, MODEL_ID, World};

/// What is long for a cloud that is only slow on a busy machine, and can be waited for.
const SILENCE: &str = "5s";
const QUESTION: &str = "hej på dig";
/// By which ministack knows whom a request is for. It checks no signature.
const SCOPE: &str =
    "Credential=test/20260101/eu-north-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";

/// A call may take an hour; nobody probes, and a breaker that has opened stays open.
fn settings(failures: u32, silence: &str) -> String {
    format!(
        "failover:
  breaker: {{consecutive_failures: {failures}, slow_call: 1h, open_for: 1h, open_for_max: 1h}}
  health: {{every: 1h, suspect_every: 1h}}
  capabilities: {{model: {{budget: {{call: 1h, silence: {silence}, suspect: 1h}}}}}}
"
    )
}

/// What ministack answers to `ConverseStream`, in bytes: its head and its events, of which the first says nothing and the next ones
/// are a piece each.
struct Stream {
    head: u64,
    events: Vec<u64>,
}

impl Stream {
    async fn of(address: SocketAddr) -> Self {
        let asked = json!({"messages": [{"role": "user", "content": [{"text": QUESTION}]}]});
        let asked = asked.to_string();
        let request = format!(
            "POST /model/{MODEL_ID}/converse-stream HTTP/1.1\r\nhost: {address}\r\n\
             authorization: AWS4-HMAC-SHA256 {SCOPE}\r\ncontent-length: {}\r\n\r\n{asked}",
            asked.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let text = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200"), "{text}");
        let length = text
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let mut left: u64 = length.unwrap().parse().unwrap();
        let mut events = Vec::new();
        while left > 0 {
            // An event begins with its whole length.
            let len = stream.read_u32().await.unwrap();
            let mut rest = vec![0; len as usize - 4];
            stream.read_exact(&mut rest).await.unwrap();
            events.push(u64::from(len));
            left -= u64::from(len);
        }
        assert!(events.len() > 6, "{events:?}");
        Self {
            head: text.len() as u64,
            events,
        }
    }

    /// How many bytes there are to the middle of the piece after so many.
    fn after(&self, pieces: usize) -> u64 {
        let whole: u64 = self.events[..=pieces].iter().sum();
        self.head + whole + self.events[pieces + 1] / 2
    }

    fn cut(&self, pieces: usize) -> Fault {
        let (from, after) = (Side::Server, self.after(pieces));
        Fault::Cut { from, after }
    }

    fn stalled(&self, pieces: usize) -> Fault {
        let (from, after) = (Side::Server, self.after(pieces));
        Fault::Stall { from, after }
    }
}

async fn stage(settings: &str) -> (World, Host, Stream) {
    let world = World::with_models().await;
    let stream = Stream::of(world.cloud()).await;
    let host = world.host_with(settings, |tenant| tenant);
    let (output, used) = ask(&host, "stream").await;
    assert_eq!(
        (&output["model"], &used["backend"]),
        (&json!(CLOUD_MODEL), &json!("cloud"))
    );
    (world, host, stream)
}

async fn ask(host: &Host, skill: &str) -> (Value, Value) {
    let input = json!({"question": QUESTION});
    host.call("acme", skill, input, "model").await
}

/// Checks an answer that this host's model gave as a whole, at this attempt.
fn assert_here((output, used): &(Value, Value), attempt: u32) {
    assert_eq!(
        (&output["text"], &output["model"]),
        (&json!(QUESTION), &json!(LOCAL_MODEL))
    );
    assert_eq!(
        (&used["backend"], &used["attempts"]),
        (&json!("local"), &json!(attempt)),
        "{used}"
    );
    assert_eq!(used["degraded"], Value::Null);
}

/// What a client sees of an answer that is streamed to it: the pieces, and how it ends.
async fn seen(host: &Host) -> (String, (String, Value)) {
    let input = json!({"question": QUESTION});
    let call = host
        .server
        .echo("acme", host.key("acme"), "stream", input)
        .header("accept", "text/event-stream");
    let text = call.send().await.unwrap().text().await.unwrap();
    let mut pieces = String::new();
    for event in text.split("\n\n") {
        let part = |name| event.lines().find_map(|line| line.strip_prefix(name));
        let (Some(name), Some(data)) = (part("event: "), part("data: ")) else {
            continue;
        };
        let data: Value = serde_json::from_str(data).unwrap();
        match name {
            "accepted" => {}
            "part" => pieces.push_str(data.as_str().unwrap()),
            _ => return (pieces, (name.to_owned(), data)),
        }
    }
    panic!("it does not end: {text}")
}

async fn metric(host: &Host, name: &str) -> f64 {
    let metrics = host.server.get("/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let line = format!("{name}{{capability=\"model\"}} ");
    let value = metrics.lines().find_map(|l| l.strip_prefix(line.as_str()));
    value
        .unwrap_or_else(|| panic!("no {name} in {metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_before_its_first_word_is_given_here_as_a_whole() {
    let (world, host, stream) = stage(&settings(100, SILENCE)).await;
    for fault in [stream.cut(0), stream.stalled(0)] {
        world.to_models().set(fault);
        assert_here(&ask(&host, "stream").await, 2);
    }
    // Of one that is asked for as a whole nobody has seen anything.
    world.to_models().set(stream.cut(2));
    assert_here(&ask(&host, "ask").await, 2);
    assert_eq!(metric(&host, "stuga_cloud_answers_broken_total").await, 0.0);
}

/// Has the cloud's answers fail after two pieces until the breaker opens.
async fn breaks_off(silence: &str, fault: impl Fn(&Stream) -> Fault, (status, slug): (u16, &str)) {
    let (world, host, stream) = stage(&settings(3, silence)).await;
    world.to_models().set(fault(&stream));
    let (pieces, (name, told)) = seen(&host).await;
    assert!(pieces.starts_with("[ministack mock"), "{pieces}");
    assert_eq!(
        (name.as_str(), &told["type"]),
        ("error", &json!(format!("urn:stuga:problem:{slug}")))
    );
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("a part of it"), "{told}");
    for _ in 0..2 {
        let said = host.explained("acme", "model").await;
        assert_eq!(said["breaker"], "closed", "{said}");
        let input = json!({"question": QUESTION});
        let call = host.server.echo("acme", host.key("acme"), "stream", input);
        problem(call, status, slug).await;
    }
    let asked = world.parrot().requests().len();
    assert_eq!(asked, 0, "no other model went on with any of them");
    assert_eq!(metric(&host, "stuga_cloud_answers_broken_total").await, 3.0);
    let said = host.explained("acme", "model").await;
    assert_eq!(said["breaker"], "open", "{said}");
    for skill in ["stream", "ask"] {
        assert_here(&ask(&host, skill).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_in_the_middle_is_an_error_and_the_next_ones_come_from_here() {
    breaks_off("1h", |stream| stream.cut(2), (503, "unavailable")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_falls_silent_in_the_middle_is_given_up_and_the_next_ones_come_from_here() {
    breaks_off(SILENCE, |stream| stream.stalled(2), (504, "timeout")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_is_well_but_for_its_answers_is_left_and_come_back_to() {
    let world = World::with_models().await;
    let stream = Stream::of(world.cloud()).await;
    // Its monitor asks at once after each failure and is answered.
    let host = world.host();
    world.to_models().set(stream.cut(2));
    let mut looks = 0..LOOKS_MAX;
    while metric(&host, "stuga_breaker_trips_total").await == 0.0 {
        assert!(looks.next().is_some(), "the breaker does not open");
        let (pieces, (name, told)) = seen(&host).await;
        match name.as_str() {
            // A probe may have used up what a connection still passes.
            "result" => assert_eq!(
                (pieces.as_str(), &told["output"]["model"]),
                (QUESTION, &json!(LOCAL_MODEL))
            ),
            _ => assert!(pieces.starts_with("[ministack mock"), "{pieces}"),
        }
    }
    world.heal();
    for _ in looks {
        let (pieces, (name, told)) = seen(&host).await;
        assert_eq!(name, "result", "{told}");
        if told["output"]["model"] == CLOUD_MODEL {
            assert_eq!(told["output"]["text"], pieces);
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the cloud's model does not answer again");
}
