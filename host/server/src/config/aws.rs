//! `aws:` of `stuga.yaml`.

use serde_json::{Map, Value as Json};
use stuga_aws::AwsConfig;

use crate::yaml::{Node, Report, Value};

/// Reads `aws:`. Every part that is wrong is told at its place; none when anything is.
pub(crate) fn read(node: &Node, report: &mut Report) -> Option<AwsConfig> {
    let Value::Map(entries) = &node.value else {
        report.add(
            node.at,
            format!("aws is {}", node.value.kind()),
            "write a mapping, such as `aws: {region: eu-north-1, ...}`",
        );
        return None;
    };
    let mut all = Map::new();
    let mut sound = true;
    for entry in entries {
        let value = entry.node.value.to_json();
        let alone = Map::from_iter([(entry.key.clone(), value.clone())]);
        // Each part by itself, so that all mistakes are told at once.
        match serde_json::from_value::<AwsConfig>(Json::Object(alone)) {
            Ok(_) => {
                all.insert(entry.key.clone(), value);
            }
            Err(error) => {
                sound = false;
                let what = format!("aws.{}: {error}", entry.key);
                report.add(entry.node.at, what, "see docs/aws.md");
            }
        }
    }
    let config: AwsConfig = serde_json::from_value(Json::Object(all)).ok()?;
    if !sound {
        return None;
    }
    if let Err(error) = config.check() {
        let setting = error.context_value("setting").unwrap_or_default();
        let part = setting.split('.').nth(1).unwrap_or_default();
        let part = entries.iter().find(|entry| entry.key == part);
        let at = part.map_or(node.at, |entry| entry.node.at);
        report.add(at, error.message().to_owned(), "see docs/aws.md");
        return None;
    }
    Some(config)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read_text(text: &str) -> Result<Option<AwsConfig>, Vec<String>> {
        let mut report = Report::new(Path::new("stuga.yaml"));
        let node = report.parse(text).unwrap();
        let config = read(&node, &mut report);
        if report.is_empty() {
            return Ok(config);
        }
        let found = report.into_diagnostics();
        Err(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sections_are_read_with_times_as_text() {
        let text = "region: eu-north-1\nattempt_timeout: 5s\nsecrets:\n  kms_key: alias/stuga-{tenant}\n  cache_ttl: 1m\n";
        let config = read_text(text).unwrap().unwrap();
        assert_eq!(config.attempt_timeout.as_secs(), 5);
        assert_eq!(config.secrets.unwrap().cache_ttl.as_secs(), 60);
        assert!(config.files.is_none());
    }

    #[test]
    fn all_mistakes_are_told_at_their_places() {
        let text = "region: eu-north-1\nregoin: x\nfiles:\n  bucket: b\n  buckett: c\nattempt_timeout: soon\n";
        let found = read_text(text).unwrap_err();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].contains("stuga.yaml:2:") && found[0].contains("regoin"),
            "{found:?}"
        );
        assert!(
            found[1].contains("stuga.yaml:4:") && found[1].contains("buckett"),
            "{found:?}"
        );
        assert!(
            found[2].contains("stuga.yaml:6:") && found[2].contains("250ms"),
            "{found:?}"
        );
        let shared = "region: eu-north-1\na2a: {queue_prefix: stuga}\n";
        let found = read_text(shared).unwrap_err();
        assert!(
            found[0].contains("stuga.yaml:2:") && found[0].contains("aws.a2a.queue_prefix"),
            "{found:?}"
        );
    }
}
