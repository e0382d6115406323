//! Figures as Markdown, for a terminal and for docs/PERFORMANCE.md.

use std::fmt::Write;

use serde_json::Value;

/// Two tables: over HTTP, and in one process.
pub(crate) fn markdown(micro: &Value, http: &Value) -> String {
    let mut text = String::new();
    let servers: Vec<&Value> = http
        .get("servers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
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
        let name = server.get("server").and_then(Value::as_str).unwrap_or("?");
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
    line(&mut text, "\n| in one process, one thread | time |");
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
        let value = micro.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        line(&mut text, &format!("| {label} | {value:.2} {unit} |"));
    }
    text
}

/// Durable puts beside plain SQLite.
pub(crate) fn stores(puts: &Value) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "| durable puts, writers at once | plain SQLite puts/s | Stuga puts/s | ratio | CPU us/put, plain | CPU us/put, Stuga |",
    );
    line(&mut text, "| ---: | ---: | ---: | ---: | ---: | ---: |");
    let rows = puts.get("puts").and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
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
pub(crate) fn large(runs: &[Option<&Value>]) -> String {
    let runs: Vec<&Value> = runs.iter().flatten().copied().collect();
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
pub(crate) fn overhead(overhead: &Value) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "| | operation | beside | ours, ms | bare, ms | ratio | server |",
    );
    line(&mut text, "| --- | --- | --- | ---: | ---: | ---: | --- |");
    let rows = overhead.get("rows").and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        let word = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or("?");
        let row = format!(
            "| {} | {} | {} | {:.2} | {:.2} | {:.2} | {} |",
            word("capability"),
            word("operation"),
            word("bare"),
            number(row, "ours_ms"),
            number(row, "bare_ms"),
            number(row, "ratio"),
            word("server"),
        );
        line(&mut text, &row);
    }
    text
}

fn number(of: &Value, name: &str) -> f64 {
    of.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// Search beside tantivy and hnsw_rs alone.
pub(crate) fn search(search: &Value) -> String {
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
