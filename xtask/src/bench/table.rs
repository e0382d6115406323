//! Figures as Markdown, for a terminal and for docs/PERFORMANCE.md.

use std::fmt::Write;

use serde_json::Value;

use super::Group;

/// The tables of a group.
pub(super) fn of(group: Group, figures: &Value) -> String {
    match group {
        Group::Calls => calls(figures),
        Group::Puts => stores(figures),
        Group::Large => large(figures),
        Group::Aws => overhead(figures),
        Group::Failover => failover(figures),
        Group::Http => http(figures),
        Group::Search => search(figures),
    }
}

/// Servers over HTTP.
fn http(http: &Value) -> String {
    let mut text = String::new();
    let servers: Vec<&Value> = rows(http, "/servers").collect();
    let base = servers
        .first()
        .map_or(0.0, |server| figure(server, "cpu_us_per_request"));
    line(
        &mut text,
        "| server (1 KB echo) | CPU us/request | x axum | requests/s | p50 ms | p99 ms | errors |",
    );
    line(
        &mut text,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    );
    for server in servers {
        let cpu = figure(server, "cpu_us_per_request");
        let name = word(server, "server");
        let row = format!(
            "| {name} | {cpu:.1} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} |",
            cpu / base,
            figure(server, "requests_per_second"),
            figure(server, "p50_ms"),
            figure(server, "p99_ms"),
            figure(server, "errors"),
        );
        line(&mut text, &row);
    }
    text
}

/// Instances and calls in one process.
fn calls(micro: &Value) -> String {
    let mut text = String::new();
    line(&mut text, "| in one process, one thread | time |");
    line(&mut text, "| --- | ---: |");
    for (label, name, unit) in [
        ("compile the 1 KB echo's component", "compile_ms", "ms"),
        ("new instance, wasmtime alone", "wasmtime_new_us", "us"),
        (
            "warm call of 1 KB echo, wasmtime alone",
            "wasmtime_echo_us",
            "us",
        ),
        (
            "warm call of 1 KB echo, Stuga's runtime",
            "warm_echo_us",
            "us",
        ),
        (
            "new instance and first call, Stuga's runtime",
            "fresh_echo_us",
            "us",
        ),
    ] {
        let value = number(micro, name);
        line(&mut text, &format!("| {label} | {value:.2} {unit} |"));
    }
    text
}

/// Durable puts beside plain SQLite.
fn stores(puts: &Value) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "| durable puts, writers at once | plain SQLite puts/s | Stuga puts/s | ratio | CPU us/put, plain | CPU us/put, Stuga |",
    );
    line(&mut text, "| ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in rows(puts, "/puts") {
        let plain = number(row, "plain_per_second");
        let stuga = number(row, "stuga_per_second");
        let row = format!(
            "| {:.0} | {plain:.0} | {stuga:.0} | {:.2} | {:.1} | {:.1} |",
            number(row, "writers"),
            stuga / plain,
            number(row, "plain_cpu_us"),
            number(row, "stuga_cpu_us"),
        );
        line(&mut text, &row);
    }
    text
}

/// A large file through a guest, a column for each place where it was kept.
fn large(runs: &Value) -> String {
    let runs: Vec<&Value> = runs.as_array().into_iter().flatten().collect();
    let mut text = String::new();
    let mut cells = |label: &str, cell: &dyn Fn(&Value) -> String| {
        let cells: Vec<String> = runs.iter().map(|run| cell(run)).collect();
        line(&mut text, &format!("| {label} | {} |", cells.join(" | ")));
    };
    cells("a large file through a guest, kept on", &|run| {
        let keeper = run.get("files").and_then(Value::as_str);
        keeper.unwrap_or("?").to_owned()
    });
    cells("---", &|_| "---:".to_owned());
    for (label, name, unit) in [
        ("size", "mib", "MiB"),
        (
            "uploaded in parts of 1 MiB",
            "upload_mib_per_second",
            "MiB/s",
        ),
        (
            "read back in parts of 1 MiB, a call each",
            "read_mib_per_second",
            "MiB/s",
        ),
        ("most memory of the guest", "guest_mib", "MiB"),
        ("most memory of the process", "process_peak_mib", "MiB"),
        ("of it before the upload", "process_before_mib", "MiB"),
    ] {
        cells(label, &|run| format!("{:.0} {unit}", number(run, name)));
    }
    text
}

/// Backends on AWS beside bare clients.
fn overhead(overhead: &Value) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "| | operation | beside | ours, ms | bare, ms | ratio | server |",
    );
    line(&mut text, "| --- | --- | --- | ---: | ---: | ---: | --- |");
    for row in rows(overhead, "/rows") {
        let row = format!(
            "| {} | {} | {} | {:.2} | {:.2} | {:.2} | {} |",
            word(row, "capability"),
            word(row, "operation"),
            word(row, "bare"),
            number(row, "ours_ms"),
            number(row, "bare_ms"),
            number(row, "ratio"),
            word(row, "server"),
        );
        line(&mut text, &row);
    }
    text
}

/// What it costs to stand in for a cloud.
fn failover(failover: &Value) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "| memory in one process, in turns call by call | callers | bare p50, ms | facade p50, ms | | bare p99, ms | facade p99, ms | |",
    );
    line(
        &mut text,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    );
    for row in rows(failover, "/inside/turns") {
        let label = format!("{} before {}", word(row, "call"), word(row, "behind"));
        let callers = number(row, "callers");
        let cells = beside(row.get("bare"), row.get("facade"));
        line(&mut text, &format!("| {label} | {callers:.0} | {cells} |"));
    }
    line(
        &mut text,
        "\n| memory over HTTP, in turns call by call | without a cloud p50, ms | breaker open p50, ms | | without p99, ms | open p99, ms | |",
    );
    line(
        &mut text,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    );
    for (call, without, open) in [
        ("put", "local_puts", "open_puts"),
        ("get", "local_gets", "open_gets"),
    ] {
        let of = |name: &str| failover.pointer(&format!("/outside/{name}"));
        let cells = beside(of(without), of(open));
        line(&mut text, &format!("| {call} | {cells} |"));
    }
    line(
        &mut text,
        "\n| a journal of | entries | at a time | noted/s | the cloud's own/s | drained/s | ratio | s |",
    );
    line(
        &mut text,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    );
    for row in rows(failover, "/inside/drains") {
        let [entries, seconds] = ["entries", "seconds"].map(|name| number(row, name));
        let (alone, rate) = (number(row, "alone_per_second"), entries / seconds);
        let row = format!(
            "| {} | {entries:.0} | {:.0} | {:.0} | {alone:.0} | {rate:.0} | {:.2} | {seconds:.1} |",
            word(row, "what"),
            number(row, "at_a_time"),
            number(row, "noted_per_second"),
            rate / alone,
        );
        line(&mut text, &row);
    }
    line(&mut text, "\n| a whole host without traffic | |");
    line(&mut text, "| --- | ---: |");
    for (label, name) in [
        ("s to Open, connections refused", "idle_refused_s"),
        ("s to Open, no answer", "idle_black_hole_s"),
        ("entries that waited when the cloud came back", "entries"),
        ("s from then until the first was gone", "first_gone_s"),
        ("drained a second, to ministack", "drained_per_second"),
    ] {
        let value = failover.pointer(&format!("/outside/{name}"));
        let value = value.and_then(Value::as_f64).unwrap_or(f64::NAN);
        line(&mut text, &format!("| {label} | {value:.1} |"));
    }
    text
}

/// Cells of two latencies and how much more the second is.
fn beside(first: Option<&Value>, second: Option<&Value>) -> String {
    let cells = ["p50_ms", "p99_ms"].map(|name| {
        let [first, second] = [first, second].map(|of| of.map_or(f64::NAN, |of| number(of, name)));
        let more = 100.0 * (second / first - 1.0);
        format!("{first:.3} | {second:.3} | {more:+.1} %")
    });
    cells.join(" | ")
}

fn rows<'v>(of: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    of.pointer(path)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn word<'v>(of: &'v Value, name: &str) -> &'v str {
    of.get(name).and_then(Value::as_str).unwrap_or("?")
}

fn number(of: &Value, name: &str) -> f64 {
    of.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// Search beside tantivy and hnsw_rs alone.
fn search(search: &Value) -> String {
    let at = |path: &str| {
        let found = search.pointer(path).and_then(Value::as_f64);
        found.unwrap_or(f64::NAN)
    };
    let mut text = String::new();
    line(&mut text, "| search, us | p50 | p99 | recall@10 |");
    line(&mut text, "| --- | ---: | ---: | ---: |");
    for (label, place, recall) in [
        ("tantivy alone, 100 best", "/alone/tantivy", None),
        (
            "hnsw_rs alone, 100 nearest",
            "/alone/hnsw",
            Some("/alone/recall_at_10"),
        ),
        ("Stuga, by words", "/host/text", None),
        (
            "Stuga, by nearness",
            "/host/vector",
            Some("/host/recall_at_10"),
        ),
        ("Stuga, by both", "/host/hybrid", None),
    ] {
        let recall = recall.map_or_else(String::new, |path| format!("{:.3}", at(path)));
        let row = format!(
            "| {label} | {:.0} | {:.0} | {recall} |",
            at(&format!("{place}/p50_us")),
            at(&format!("{place}/p99_us")),
        );
        line(&mut text, &row);
    }
    let alone = at("/alone/tantivy/p50_us") + at("/alone/hnsw/p50_us");
    let times = at("/host/hybrid/p50_us") / alone;
    line(
        &mut text,
        &format!("\nBy both, x the two alone: {times:.2}"),
    );
    line(&mut text, "\n| documents a second | |");
    line(&mut text, "| --- | ---: |");
    for (label, path) in [
        (
            "tantivy alone, committed and merged",
            "/alone/tantivy_per_s",
        ),
        (
            "Stuga, acknowledged with their vectors",
            "/host/acknowledged_per_s",
        ),
        ("Stuga, found by a fresh query", "/host/searchable_per_s"),
    ] {
        line(&mut text, &format!("| {label} | {:.0} |", at(path)));
    }
    let graphs = (at("/host/graph_s"), at("/alone/hnsw_s"));
    line(
        &mut text,
        &format!(
            "\nGraph: {:.0} s in Stuga, in the background; {:.0} s alone",
            graphs.0, graphs.1
        ),
    );
    text
}

fn figure(server: &Value, name: &str) -> f64 {
    server
        .get("median")
        .and_then(|median| median.get(name))
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

fn line(text: &mut String, row: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{row}");
}
