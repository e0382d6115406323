//! Addresses from which a content can be fetched without this host: for answers too large to pass through it.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use stuga_core::files::{FileInfo, check_path};
use stuga_core::{CallCtx, Error, Result};

use super::{S3Files, content, find};
use crate::call::call;

/// Longest time for which an address is good. With a tenant's role it is good no longer than the role's credentials.
const DOWNLOAD_LONGEST: Duration = Duration::from_secs(3_600);

/// Where one version can be fetched by whoever knows the address, without any other credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Download {
    /// What is fetched.
    pub info: FileInfo,
    /// How long the address is good at most.
    pub lifetime: Duration,
    address: String,
}

impl Download {
    /// The address. It is a secret: it goes to the client that asked and into no log.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("info", &self.info)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl S3Files {
    /// An address of `version` of `path`, or of the file that stands there; none when there is no such file or version.
    pub(crate) async fn download(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        lifetime: Duration,
    ) -> Result<Option<Download>> {
        const OPERATION: &str = "files.download";
        check_path(OPERATION, path)?;
        if lifetime.is_zero() || lifetime > DOWNLOAD_LONGEST {
            let what = "an address is good for more than nothing and at most an hour";
            return Err(
                Error::invalid(OPERATION, what).with_context("limit", DOWNLOAD_LONGEST.as_secs())
            );
        }
        let store = self.store(ctx)?;
        let Some((info, version)) = find(&store, ctx, OPERATION, path, version).await? else {
            return Ok(None);
        };
        let presigning = PresigningConfig::expires_in(lifetime).map_err(|e| {
            Error::internal(OPERATION, "the address cannot be signed").with_source(e)
        })?;
        let get = store
            .s3()
            .get_object()
            .bucket(&store.bucket)
            .key(content::of_version(&store, path, version.content).as_str())
            // Never shown in place: it is a tenant's content under an address of AWS.
            .response_content_disposition(format!("attachment; filename*=UTF-8''{}", name(path)))
            .response_content_type(&info.content_type);
        let signed = call(ctx, OPERATION, get.presigned(presigning)).await?;
        Ok(Some(Download {
            info,
            lifetime,
            address: signed.uri().to_owned(),
        }))
    }
}

/// The last part of a path as RFC 8187 writes it.
fn name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    let mut name = String::with_capacity(last.len());
    for byte in last.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(name("a/möte 1.md"), "m%C3%B6te%201.md");
        assert_eq!(name("a\"; x='y"), "a%22%3B%20x%3D%27y");
    }
}
