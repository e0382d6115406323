//! What sections of the configuration must keep to, each rule with the setting that breaks it.

use stuga_core::Result;
use stuga_core::embed::DIMENSION_MAX;
use stuga_core::model::MODEL_NAME_MAX_BYTES;

use super::{FilesConfig, MemoryConfig, ModelConfig};
use crate::config::{AwsConfig, Pattern, is_address, wrong};

/// Longest part of a prefix of indices that is not the tenant's name: 255 bytes are the longest name of an index.
const INDEX_PREFIX_MAX_BYTES: usize = 40;
/// Longest part of a memory's name that is not the tenant's: of the 48 bytes that AgentCore takes, 26 are for a hash.
const MEMORY_NAME_OWN_MAX_BYTES: usize = 20;
/// Longest prefix of keys in bytes, as it is configured.
const KEY_PREFIX_MAX_BYTES: usize = 128;

impl AwsConfig {
    /// Checks the sections that are there.
    pub(in crate::config) fn check_sections(&self) -> Result<()> {
        if let Some(files) = &self.files {
            files.check()?;
        }
        if let Some(memory) = &self.memory {
            memory.check()?;
        }
        if let Some(search) = &self.search {
            separated("aws.search.index_prefix", &search.index_prefix)?;
            if !names_indices(&search.index_prefix) {
                let what = "at most 40 of a-z 0-9 _ - . that begin with a letter, and `{tenant}`";
                return Err(wrong("aws.search.index_prefix", what));
            }
            match (&search.endpoint, &search.domain) {
                (None, None) => {
                    return Err(wrong(
                        "aws.search.domain",
                        "given, or `aws.search.endpoint`",
                    ));
                }
                (Some(url), _) if !is_address(url) => {
                    let what = "http:// or https:// and a host, without credentials";
                    return Err(wrong("aws.search.endpoint", what));
                }
                _ => {}
            }
        }
        if let Some(a2a) = &self.a2a {
            separated("aws.a2a.queue_prefix", &a2a.queue_prefix)?;
            self.has_bucket("aws.a2a.bucket", a2a.bucket.as_ref())?;
        }
        if let Some(jobs) = &self.jobs {
            self.has_bucket("aws.jobs.bucket", jobs.bucket.as_ref())?;
        }
        if let Some(secrets) = &self.secrets {
            separated("aws.secrets.prefix", &secrets.prefix)?;
        }
        if let Some(model) = &self.model {
            model.check()?;
        }
        Ok(())
    }

    /// Whether there is a bucket that all tenants share: an own one, or that of files.
    fn has_bucket(&self, setting: &str, own: Option<&String>) -> Result<()> {
        let files = self.files.as_ref().map(|files| &files.bucket);
        if own.is_some() || files.is_some_and(|bucket| !bucket.names_tenant()) {
            return Ok(());
        }
        let what = "the name of a bucket that all tenants share, unless `aws.files.bucket` is one without `{tenant}`";
        Err(wrong(setting, what))
    }
}

impl MemoryConfig {
    fn check(&self) -> Result<()> {
        if self.name.is_some() == self.memory_id.is_some() {
            let what = "given, or `aws.memory.memory_id`, and not both";
            return Err(wrong("aws.memory.name", what));
        }
        if !self.name.as_ref().is_none_or(names_memory) {
            let what =
                "at most 20 of a-z A-Z 0-9 _ that begin with a letter, and `{tenant}` once at most";
            return Err(wrong("aws.memory.name", what));
        }
        let redis = &self.redis;
        let known = redis.starts_with("redis://") || redis.starts_with("rediss://");
        if !known || redis.contains('@') {
            let what = "redis:// or rediss:// and a host, without credentials";
            return Err(wrong("aws.memory.redis", what));
        }
        self.redis_access.check(redis)
    }
}

impl FilesConfig {
    fn check(&self) -> Result<()> {
        let prefixes = [
            ("aws.files.prefix", &self.prefix),
            ("aws.files.passing", &self.passing),
        ];
        for (setting, prefix) in prefixes {
            let text = prefix.as_str();
            let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.{}".contains(c);
            let fits = text.len() <= KEY_PREFIX_MAX_BYTES
                && text.chars().all(plain)
                && !text.contains("..");
            if !(fits && prefix.separates() && text.ends_with('/') && !text.starts_with('/')) {
                let what = "1 to 128 letters, digits, `/`, `-`, `_` and `.` with `{tenant}/` among them and `/` at the end";
                return Err(wrong(setting, what));
            }
        }
        let (kept, passing) = (self.prefix.before_tenant(), self.passing.before_tenant());
        // Otherwise a tenant's name could make one of them begin the other.
        if kept.starts_with(passing) || passing.starts_with(kept) {
            let what = "a prefix that differs from `aws.files.prefix` before `{tenant}`";
            return Err(wrong("aws.files.passing", what));
        }
        Ok(())
    }
}

impl ModelConfig {
    fn check(&self) -> Result<()> {
        if !self.models.contains_key(&self.name) {
            return Err(wrong(
                "aws.model.name",
                "one of the names in `aws.model.models`",
            ));
        }
        let fits = |text: &String| (1..=MODEL_NAME_MAX_BYTES).contains(&text.len());
        if !self.models.iter().all(|(name, id)| fits(name) && fits(id)) {
            return Err(wrong("aws.model.models", "names and ids of 1 to 256 bytes"));
        }
        if let Some(embeddings) = &self.embeddings
            && !(1..=DIMENSION_MAX).contains(&embeddings.dimension)
        {
            return Err(wrong("aws.model.embeddings.dimension", "from 1 to 4096"));
        }
        Ok(())
    }
}

fn separated(setting: &str, pattern: &Pattern) -> Result<()> {
    if pattern.separates() {
        return Ok(());
    }
    let what = "a prefix with `{tenant}` and right behind it one of / _ : . so that no two tenants share it";
    Err(wrong(setting, what))
}

/// Whether OpenSearch takes names that begin so, and has room for the longest of them.
fn names_indices(prefix: &Pattern) -> bool {
    let text = prefix.as_str().replace("{tenant}", "");
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    let begins = prefix
        .as_str()
        .starts_with(|c: char| c.is_ascii_lowercase());
    begins && text.len() <= INDEX_PREFIX_MAX_BYTES && text.chars().all(fits)
}

/// Whether AgentCore takes names that begin so, and they tell tenants apart.
fn names_memory(name: &Pattern) -> bool {
    let text = name.as_str().replacen("{tenant}", "", 1);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.as_str().starts_with(|c: char| c.is_ascii_alphabetic());
    begins && text.len() <= MEMORY_NAME_OWN_MAX_BYTES && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::super::{A2aConfig, tenant_folder, tenant_passing, tenant_path, tenant_words};
    use super::*;

    #[test]
    fn prefixes_of_files_that_could_meet_are_refused_by_name() {
        let check = |prefix: &str, passing: &str| {
            let text =
                format!(r#"{{"bucket": "b", "prefix": "{prefix}", "passing": "{passing}"}}"#);
            let files: FilesConfig = serde_json::from_str(&text).unwrap();
            let refused = files.check().err();
            refused.and_then(|e| e.context_value("setting").map(str::to_owned))
        };
        assert_eq!(check("files/{tenant}/", "passing/{tenant}/"), None);
        assert_eq!(check("a/f/{tenant}/", "a/p/{tenant}/"), None);
        for prefix in [
            "{tenant}",
            "f{tenant}-/",
            "files/",
            "/{tenant}/",
            "f/../{tenant}/",
            "f?/{tenant}/",
        ] {
            let setting = check(prefix, "passing/{tenant}/");
            assert_eq!(setting.as_deref(), Some("aws.files.prefix"), "{prefix}");
        }
        // A tenant called `passing` would own everybody's.
        for (prefix, passing) in [
            ("{tenant}/", "passing/{tenant}/"),
            ("a/{tenant}/", "a/{tenant}/p/"),
        ] {
            let setting = check(prefix, passing);
            assert_eq!(setting.as_deref(), Some("aws.files.passing"), "{prefix}");
        }
    }

    #[test]
    fn a_memory_is_named_or_given_by_its_id_and_not_both() {
        let check = |text: &str| {
            let memory: MemoryConfig = serde_json::from_str(text).unwrap();
            let refused = memory.check().err();
            refused.and_then(|e| e.context_value("setting").map(str::to_owned))
        };
        let redis = r#""redis": "redis://h""#;
        assert_eq!(
            check(&format!(r#"{{"name": "stuga_{{tenant}}", {redis}}}"#)),
            None
        );
        assert_eq!(check(&format!(r#"{{"memory_id": "a-0", {redis}}}"#)), None);
        for bad in [
            r#""memory_id": "a-0", "name": "stuga", "#,
            "",
            r#""name": "stuga-{tenant}", "#,
            r#""name": "{tenant}", "#,
            r#""name": "a_name_of_twenty_one_b", "#,
            r#""name": "s_{tenant}_{tenant}", "#,
        ] {
            let setting = check(&format!("{{{bad}{redis}}}"));
            assert_eq!(setting.as_deref(), Some("aws.memory.name"), "{bad}");
        }
    }

    #[test]
    fn the_defaults_keep_to_their_own_rules() {
        for pattern in [
            tenant_folder(),
            tenant_passing(),
            tenant_words(),
            tenant_path(),
        ] {
            assert_eq!(Pattern::new(pattern.as_str()), Ok(pattern.clone()));
            assert!(pattern.separates(), "{pattern:?}");
        }
    }

    #[test]
    fn what_needs_a_bucket_of_all_tenants_and_has_none_is_refused_by_its_setting() {
        let check = |text: &str| {
            let text = format!(r#"{{"region": "eu-north-1", {text}}}"#);
            let config: AwsConfig = serde_json::from_str(&text).unwrap();
            let refused = config.check().err();
            refused.map(|e| e.context_value("setting").unwrap().to_owned())
        };
        for (section, rest) in [("a2a", ""), ("jobs", r#""function": "f""#)] {
            let own = match rest {
                "" => r#""bucket": "b""#.to_owned(),
                rest => format!(r#"{rest}, "bucket": "b""#),
            };
            let setting = Some(format!("aws.{section}.bucket"));
            let bare = format!(r#""{section}": {{{rest}}}"#);
            assert_eq!(check(&bare), setting);
            let (common, each) = (r#"{"bucket": "b"}"#, r#"{"bucket": "b-{tenant}"}"#);
            assert_eq!(check(&format!(r#""files": {common}, {bare}"#)), None);
            assert_eq!(check(&format!(r#""files": {each}, {bare}"#)), setting);
            assert_eq!(check(&format!(r#""{section}": {{{own}}}"#)), None);
        }
    }

    #[test]
    fn prefixes_that_tenants_would_share_are_refused() {
        let config = |prefix: &str| AwsConfig {
            region: "eu-north-1".to_owned(),
            a2a: Some(A2aConfig {
                queue_prefix: Pattern::new(prefix).unwrap(),
                bucket: Some("stuga-mail".to_owned()),
            }),
            ..AwsConfig::default()
        };
        config("stuga_{tenant}_").check().unwrap();
        for bad in ["stuga_", "stuga-{tenant}-", "{tenant}"] {
            let refused = config(bad).check().unwrap_err();
            assert_eq!(
                refused.context_value("setting"),
                Some("aws.a2a.queue_prefix")
            );
        }
    }
}
