//! The storage of a lake: a folder, or a bucket on S3 or on an S3-compatible server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientConfigKey, Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig,
};
use url::Url;

use crate::error::{Error, Result};

/// Timeouts for opening a connection to S3 and for a request, including the upload of a file. Environment variables
/// override them.
const TIMEOUTS: [(&str, ClientConfigKey, &str); 2] = [
    ("AWS_CONNECT_TIMEOUT", ClientConfigKey::ConnectTimeout, "5 seconds"),
    ("AWS_TIMEOUT", ClientConfigKey::Timeout, "2 minutes"),
];
/// How long a failed request to S3 is retried.
const RETRY_TIMEOUT: Duration = Duration::from_mins(5);
const RETRIES: usize = 4;
/// The environment variable that is set if a bucket needs no credentials.
const SKIP_SIGNATURE: &str = "AWS_SKIP_SIGNATURE";

/// A place that tables are published to.
#[derive(Clone)]
pub struct Lake {
    /// Its full path or URL.
    pub name: String,
    store: Arc<dyn ObjectStore>,
    folder: Option<std::path::PathBuf>,
    root: Path,
    /// Holds the credentials for a bucket, or requests them from the cloud's instance.
    credentials: Option<AwsCredentialProvider>,
}

impl Lake {
    /// Opens a lake to publish to; creates its folder if it does not exist.
    ///
    /// # Errors
    /// If the location cannot be a lake. S3 is not contacted yet.
    pub fn create(location: &str) -> Result<Self> {
        if let Some(folder) = folder_of(location)? {
            std::fs::create_dir_all(&folder).map_err(|cause| folder_error(&folder, "creating the folder", cause))?;
        }
        Self::open(location)
    }

    /// Opens an existing lake.
    ///
    /// # Errors
    /// The same as for [`Self::create`], and if the folder does not exist.
    pub fn open(location: &str) -> Result<Self> {
        match folder_of(location)? {
            Some(folder) => {
                let path = std::fs::canonicalize(&folder);
                let path = path.map_err(|cause| folder_error(&folder, "opening the folder", cause))?;
                let name = path.display().to_string();
                let store = LocalFileSystem::new_with_prefix(&path).map_err(|cause| Error::Store {
                    lake: name.clone(),
                    doing: "opening the folder".to_owned(),
                    cause: Box::new(cause),
                })?;
                Ok(Self {
                    name,
                    // Published files must survive a power failure.
                    store: Arc::new(store.with_fsync(true)),
                    folder: Some(path),
                    root: Path::default(),
                    credentials: None,
                })
            }
            None => Self::bucket(location),
        }
    }

    fn bucket(location: &str) -> Result<Self> {
        let invalid = |problem: String| Error::LocationInvalid {
            location: location.to_owned(),
            problem,
        };
        let url = Url::parse(location).map_err(|error| invalid(error.to_string()))?;
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
        let bucket = bucket.ok_or_else(|| invalid("it names no bucket".to_owned()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("its prefix must not contain ? or #".to_owned()));
        }
        let root = Path::from_url_path(url.path().trim_matches('/')).map_err(|error| invalid(error.to_string()))?;
        // Only the first provider of a process is installed. An earlier one is `ring` too, so the result is ignored.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_plain = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"]
            .iter()
            .any(|name| std::env::var(name).is_ok_and(|endpoint| endpoint.starts_with("http://")));
        let mut builder = AmazonS3Builder::from_env();
        for (variable, key, seconds) in TIMEOUTS {
            if std::env::var_os(variable).is_none() {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), seconds);
            }
        }
        let store = builder
            .with_bucket_name(bucket)
            .with_allow_http(is_plain)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
                ..RetryConfig::default()
            })
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            name: location.trim_end_matches('/').to_owned(),
            credentials: std::env::var_os(SKIP_SIGNATURE)
                .is_none()
                .then(|| Arc::clone(store.credentials())),
            store: Arc::new(store),
            folder: None,
            root,
        })
    }

    /// Checks that credentials for a bucket are available, before the first request to it.
    pub(crate) async fn log_in(&self) -> Result<()> {
        let Some(credentials) = &self.credentials else {
            return Ok(());
        };
        match credentials.get_credential().await {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::NoCredentials {
                lake: self.name.clone(),
                cause: Box::new(cause),
            }),
        }
    }

    /// The full path of an object in the lake.
    pub(crate) fn path(&self, relative: &str) -> Path {
        relative.split('/').fold(self.root.clone(), Path::join)
    }

    /// A path relative to the lake's root.
    pub(crate) fn relative(&self, path: &Path) -> String {
        let path = path.as_ref();
        let below = path.strip_prefix(self.root.as_ref()).unwrap_or(path);
        below.trim_start_matches('/').to_owned()
    }

    /// An object's content; none if it does not exist.
    pub(crate) async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        let read = async { self.store.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.failed(format!("reading {path}"))(cause)),
        }
    }

    /// Writes an object. It is durable when this returns.
    pub(crate) async fn write(&self, path: &Path, content: Bytes) -> Result<()> {
        let written = self.store.put(path, content.into()).await;
        written.map(drop).map_err(self.failed(format!("writing {path}")))
    }

    /// Writes an object unless one with this name exists. Returns whether the object now has this content. Readers
    /// never see a part of it.
    pub(crate) async fn write_new(&self, path: &Path, content: Bytes) -> Result<bool> {
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match self.store.put_opts(path, content.clone().into(), options).await {
            Ok(_) => Ok(true),
            // A request is retried if its response was lost. The retry finds the object that the first attempt wrote.
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                Ok(self.read(path).await? == Some(content))
            }
            Err(cause) => Err(self.failed(format!("writing {path}"))(cause)),
        }
    }

    /// The lake's folder; none for a bucket.
    pub(crate) fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }

    /// All objects below a path; below the root, all objects of the lake.
    pub(crate) async fn list(&self, below: &Path) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(Some(below)).try_collect().await;
        listed.map_err(self.failed(format!("listing {below}")))
    }

    /// The names of all folders and objects at the lake's root.
    pub(crate) async fn names(&self) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&self.root)).await;
        let listed = listed.map_err(self.failed("listing the lake".to_owned()))?;
        let objects = listed.objects.into_iter().map(|object| object.location);
        let paths = listed.common_prefixes.into_iter().chain(objects);
        Ok(paths.map(|path| self.relative(&path)).collect())
    }

    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed(format!("deleting {path}"))(cause)),
        }
    }

    fn failed(&self, doing: String) -> impl FnOnce(StoreError) -> Error {
        let lake = self.name.clone();
        move |cause| Error::Store {
            lake,
            doing,
            cause: Box::new(cause),
        }
    }
}

/// The folder that a location names; none for a bucket.
fn folder_of(location: &str) -> Result<Option<std::path::PathBuf>> {
    let invalid = |problem: &str| Error::LocationInvalid {
        location: location.to_owned(),
        problem: problem.to_owned(),
    };
    match location.split_once("://") {
        _ if location.is_empty() => Err(invalid("it is empty")),
        None => Ok(Some(std::path::absolute(location).unwrap_or_else(|_| location.into()))),
        Some(("file", _)) => {
            let url = Url::parse(location).map_err(|error| invalid(&error.to_string()))?;
            let path = url.to_file_path().map_err(|()| invalid("it is not a local path"))?;
            Ok(Some(path))
        }
        Some(("s3" | "s3a", _)) => Ok(None),
        Some((scheme, _)) => Err(invalid(&format!("{scheme} is neither file nor s3"))),
    }
}

pub(crate) fn folder_error(folder: &std::path::Path, doing: &str, cause: std::io::Error) -> Error {
    let (path, source) = (folder.display().to_string(), Box::new(cause));
    if matches!(
        source.kind(),
        std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotADirectory
    ) {
        return Error::LocationInvalid {
            location: path,
            problem: "it is no folder".to_owned(),
        };
    }
    let is_missing = source.kind() == std::io::ErrorKind::NotFound;
    Error::Store {
        lake: path.clone(),
        doing: doing.to_owned(),
        cause: Box::new(if is_missing {
            StoreError::NotFound { path, source }
        } else {
            StoreError::Generic {
                store: "LocalFileSystem",
                source,
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_is_a_folder_or_a_bucket() {
        assert_eq!(folder_of("/lake").unwrap(), Some("/lake".into()));
        assert!(folder_of("lake").unwrap().is_some_and(|folder| folder.is_absolute()));
        assert_eq!(folder_of("file:///srv/lake").unwrap(), Some("/srv/lake".into()));
        assert_eq!(folder_of("s3://bucket/lake").unwrap(), None);
        for location in ["", "ftp://host/lake", "abfs://x"] {
            assert!(folder_of(location).is_err(), "{location}");
        }
    }

    #[tokio::test]
    async fn an_object_is_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("lake").to_str().unwrap()).unwrap();
        let path = lake.path("fact/_delta_log/0.json");
        assert_eq!(lake.read(&path).await.unwrap(), None);
        assert!(lake.write_new(&path, Bytes::from("one")).await.unwrap());
        assert!(!lake.write_new(&path, Bytes::from("two")).await.unwrap());
        // The same content again, as in a retry after a lost response.
        assert!(lake.write_new(&path, Bytes::from("one")).await.unwrap());
        assert_eq!(lake.read(&path).await.unwrap(), Some(Bytes::from("one")));
        assert_eq!(lake.names().await.unwrap(), ["fact"]);
        let listed = lake.list(&lake.path("fact")).await.unwrap();
        assert_eq!(lake.relative(&listed[0].location), "fact/_delta_log/0.json");
    }

    #[test]
    fn a_prefix_is_taken_as_it_is_written() {
        let root = |location| Lake::open(location).map(|lake| lake.path("fact").to_string());
        assert_eq!(root("s3://bucket/my lake/ü").unwrap(), "my lake/ü/fact");
        assert_eq!(root("s3://bucket/my%20lake").unwrap(), "my lake/fact");
        for location in ["s3://bucket/a#1", "s3://bucket/a?1"] {
            assert!(
                matches!(root(location), Err(Error::LocationInvalid { .. })),
                "{location}"
            );
        }
    }
}
