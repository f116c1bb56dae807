//! The archive in a local folder.
//!
//! A file is written below `.tmp/`, synced, linked to its name with link(2), and its folder synced.
//! link(2) fails when the name is taken, which rename(2) does not: that failure is what makes the
//! write create-only. A process that dies on the way leaves a file below `.tmp/`, which nobody reads.
//!
//! Files are made with mode 0644 and folders with 0755, less the umask: evidence is meant to be read
//! by auditors who run as somebody else, and who wants it private says so with umask or the folder's
//! own mode. No name is followed through a symbolic link below the root; that guards against links
//! left in an archive, not against someone who swaps them in while the program runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::layout;
use super::store::{Body, Fetch, Listed, Protection, Store, StoreError, Stored};
use crate::model::ids::Sha256Hex;
use crate::model::words::CheckOutcome;
use crate::seal::is_safe_name;

/// How a finished temporary gets its name; tests put a file system without links here.
pub type LinkFn = fn(&Path, &Path) -> io::Result<()>;

const BUFFER_BYTES: usize = 256 * 1024;

/// An archive below one folder.
#[derive(Debug, Clone)]
pub struct FileStore {
    root: PathBuf,
    link: LinkFn,
}

impl FileStore {
    /// The archive at `location`: a path, or a URL of the form `file:///dir`. Touches nothing.
    pub fn at(location: &str) -> Result<Self, StoreError> {
        let refused = |detail: &str| StoreError::Failed {
            name: location.to_owned(),
            detail: detail.to_owned(),
        };
        let path = match location.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => {
                return Err(refused("write file:///absolute/path, or a plain path"));
            }
            Some(_) => return Err(refused("not a local folder")),
            None => location,
        };
        let root = std::path::absolute(path).map_err(|e| refused(&e.to_string()))?;
        Ok(Self {
            root,
            link: |from, to| fs::hard_link(from, to),
        })
    }

    /// The same archive with another way to link.
    pub fn with_link(self, link: LinkFn) -> Self {
        Self { link, ..self }
    }

    /// The archive's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs blocking work where it does not hold up the runtime.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .unwrap_or_else(|e| {
                Err(StoreError::Failed {
                    name: String::new(),
                    detail: e.to_string(),
                })
            })
    }

    /// Opens a plain file that no symbolic link leads to.
    fn open(&self, name: &str) -> Result<(File, u64), StoreError> {
        if !is_safe_name(name) {
            return Err(failed(name, "not a name of an archive"));
        }
        let mut path = self.root.clone();
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let kind = fs::symlink_metadata(&path)
                .map_err(|e| from_io(name, &e))?
                .file_type();
            let last = parts.peek().is_none();
            if kind.is_symlink() {
                return Err(failed(
                    name,
                    &format!("{} is a symbolic link", path.display()),
                ));
            }
            if last && !kind.is_file() {
                return Err(failed(name, "not a plain file"));
            }
        }
        let file = File::open(&path).map_err(|e| from_io(name, &e))?;
        let bytes = file.metadata().map_err(|e| from_io(name, &e))?.len();
        Ok((file, bytes))
    }

    /// Makes the folder that `name` lies in, each new one durable in the one above.
    fn make_folder(&self, name: &str) -> Result<PathBuf, StoreError> {
        let mut folder = self.root.clone();
        let Some((parents, _)) = name.rsplit_once('/') else {
            return Ok(folder);
        };
        for part in parents.split('/') {
            let above = folder.clone();
            folder.push(part);
            match fs::create_dir(&folder) {
                Ok(()) => sync_folder(&above).map_err(|e| from_io(name, &e))?,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    let kind = fs::symlink_metadata(&folder).map_err(|e| from_io(name, &e))?;
                    if !kind.is_dir() {
                        let detail = format!("{} is not a folder", folder.display());
                        return Err(failed(name, &detail));
                    }
                }
                Err(e) => return Err(from_io(name, &e)),
            }
        }
        Ok(folder)
    }

    fn create_now(
        &self,
        name: &str,
        content: Content,
        sha256: &Sha256Hex,
    ) -> Result<(), StoreError> {
        if !is_safe_name(name) {
            return Err(failed(name, "not a name of an archive"));
        }
        let folder = self.make_folder(name)?;
        let path = self.root.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(self.exists(name, &folder));
        }
        let temporary = self.write_temporary(name, content, sha256)?;
        let linked = (self.link)(temporary.path(), &path);
        match linked {
            // A crash before this point leaves a temporary; after it, the object.
            Ok(()) => sync_folder(&folder).map_err(|e| StoreError::OutcomeUnknown {
                name: name.to_owned(),
                detail: e.to_string(),
            }),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(self.exists(name, &folder)),
            Err(e) => Err(from_link(name, &e)),
        }
    }

    /// Whether a file can be made and linked where the archive is or, while it does not exist yet,
    /// in the nearest folder above.
    fn try_out_now(&self) -> Result<(), StoreError> {
        let shown = self.root.display().to_string();
        let mut place = self.root.as_path();
        let about = loop {
            match (fs::metadata(place), place.parent()) {
                (Ok(about), _) => break about,
                (Err(e), Some(above)) if e.kind() == ErrorKind::NotFound => place = above,
                (Err(e), _) => return Err(failed(&shown, &e.to_string())),
            }
        };
        if !about.is_dir() {
            let detail = format!("{} is not a folder", place.display());
            return Err(failed(&shown, &detail));
        }
        let first = if place == self.root {
            self.new_temporary(&shown)?.0
        } else {
            let made = fresh_file(place, ".keyproof-");
            made.map_err(|e| {
                let place = place.display();
                let detail =
                    format!("cannot write in {place}: {e}; name a folder you may write to");
                failed(&shown, &detail)
            })?
            .0
        };
        let second = Temporary(first.path().with_extension("link"));
        (self.link)(first.path(), second.path()).map_err(|e| from_link(&shown, &e))
    }

    /// `Exists`, once the other writer's name is as durable as ours would be.
    fn exists(&self, name: &str, folder: &Path) -> StoreError {
        match sync_folder(folder) {
            Ok(()) => StoreError::Exists {
                name: name.to_owned(),
            },
            Err(e) => from_io(name, &e),
        }
    }

    fn write_temporary(
        &self,
        name: &str,
        mut content: Content,
        sha256: &Sha256Hex,
    ) -> Result<Temporary, StoreError> {
        let (temporary, mut file) = self.new_temporary(name)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = content.read(&mut buffer).map_err(|e| from_io(name, &e))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            file.write_all(&buffer[..read])
                .map_err(|e| from_io(name, &e))?;
        }
        let found = Sha256Hex::from_digest(&hasher.finalize().into());
        if found != *sha256 {
            return Err(StoreError::Checksum {
                name: name.to_owned(),
                detail: format!("expected {sha256}, the bytes to write have {found}"),
            });
        }
        file.sync_all().map_err(|e| from_io(name, &e))?;
        Ok(temporary)
    }

    fn new_temporary(&self, name: &str) -> Result<(Temporary, File), StoreError> {
        let folder = self.root.join(layout::TEMPORARIES);
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(from_io(name, &e)),
            _ => {}
        }
        fresh_file(&folder, "").map_err(|e| from_io(name, &e))
    }

    /// Copies an object somewhere, a buffer at a time.
    fn copy_now(
        &self,
        name: &str,
        limit: u64,
        to: &mut dyn io::Write,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        let (mut file, _) = self.open(name)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes = 0_u64;
        loop {
            let read = file.read(&mut buffer).map_err(|e| from_io(name, &e))?;
            if read == 0 {
                break;
            }
            bytes = bytes.saturating_add(read as u64);
            if bytes > limit {
                return Err(StoreError::TooLarge {
                    name: name.to_owned(),
                    limit,
                });
            }
            hasher.update(&buffer[..read]);
            to.write_all(&buffer[..read])
                .map_err(|e| failed(name, &format!("cannot write its copy: {e}")))?;
        }
        Ok((Sha256Hex::from_digest(&hasher.finalize().into()), bytes))
    }

    fn list_now(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        if !self.root.is_dir() {
            let name = self.root.display().to_string();
            return Err(match fs::symlink_metadata(&self.root) {
                Ok(_) => failed(&name, "is not a folder"),
                Err(_) => StoreError::Absent { name },
            });
        }
        let base = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !base.is_empty() && !is_safe_name(base) {
            return Err(failed(prefix, "not a prefix of an archive"));
        }
        let mut found = Vec::new();
        let mut folders = vec![base.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Ok(entries) => entries,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) if e.kind() == ErrorKind::NotADirectory => continue,
                Err(e) => return Err(from_io(&folder, &e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| from_io(&folder, &e))?;
                let own = entry.file_name().to_string_lossy().into_owned();
                if folder.is_empty() && own == layout::TEMPORARIES {
                    continue;
                }
                let name = if folder.is_empty() {
                    own
                } else {
                    format!("{folder}/{own}")
                };
                // Links are listed and never followed: an archive has none.
                let about = match entry.metadata() {
                    Ok(about) => about,
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    Err(e) => return Err(from_io(&name, &e)),
                };
                if about.is_dir() {
                    folders.push(name);
                } else if name.starts_with(prefix) {
                    found.push(Listed {
                        name,
                        bytes: about.len(),
                        written_at: None,
                    });
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// A file below `.tmp/` that goes when it is no longer needed, whatever happened.
struct Temporary(PathBuf);

impl Temporary {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Left behind it is ignored by every reader, so a failure here is no failure of the write.
        let _ = fs::remove_file(&self.0);
    }
}

/// What is to be written, owned, for the blocking thread.
enum Content {
    Bytes(io::Cursor<Vec<u8>>),
    File(File),
}

impl Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => bytes.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether link(2) says that this file system cannot do it: EPERM (what FAT answers), EOPNOTSUPP,
/// ENOSYS, EXDEV. EACCES is a matter of permissions.
fn cannot_link(e: &io::Error) -> bool {
    const EPERM: i32 = 1;
    matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::CrossesDevices)
        || e.raw_os_error() == Some(EPERM)
}

fn failed(name: &str, detail: &str) -> StoreError {
    StoreError::Failed {
        name: name.to_owned(),
        detail: detail.to_owned(),
    }
}

/// Why a finished temporary could not get its name.
fn from_link(name: &str, e: &io::Error) -> StoreError {
    if cannot_link(e) {
        StoreError::Unsuitable {
            name: name.to_owned(),
            detail: format!(
                "the file system has no hard links ({e}), so a file could be replaced unnoticed: \
                 put the archive on a file system that has them, or in S3"
            ),
        }
    } else {
        from_io(name, e)
    }
}

fn from_io(name: &str, e: &io::Error) -> StoreError {
    let name = name.to_owned();
    match e.kind() {
        ErrorKind::NotFound => StoreError::Absent { name },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Denied {
            name,
            detail: e.to_string(),
        },
        _ => StoreError::Failed {
            name,
            detail: e.to_string(),
        },
    }
}

#[async_trait]
impl Fetch for FileStore {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let name = name.to_owned();
        self.blocking(move |store| {
            let (file, bytes) = store.open(&name)?;
            let mut content = Vec::new();
            if bytes <= limit {
                file.take(limit.saturating_add(1))
                    .read_to_end(&mut content)
                    .map_err(|e| from_io(&name, &e))?;
            }
            if bytes > limit || content.len() as u64 > limit {
                return Err(StoreError::TooLarge { name, limit });
            }
            Ok(content)
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let prefix = prefix.to_owned();
        self.blocking(move |store| store.list_now(&prefix)).await
    }

    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        let mut to = to.try_clone().map_err(|e| from_io(name, &e))?;
        let name = name.to_owned();
        self.blocking(move |store| store.copy_now(&name, limit, &mut to))
            .await
    }

    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        let name = name.to_owned();
        self.blocking(move |store| store.copy_now(&name, u64::MAX, &mut io::sink()))
            .await
    }

    fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }
}

#[async_trait]
impl Store for FileStore {
    async fn create(
        &self,
        name: &str,
        body: Body<'_>,
        sha256: &Sha256Hex,
    ) -> Result<Stored, StoreError> {
        let content = match body {
            Body::Bytes(bytes) => Content::Bytes(io::Cursor::new(bytes.to_vec())),
            Body::File(path) => Content::File(
                File::open(path)
                    .map_err(|e| failed(name, &format!("cannot read {}: {e}", path.display())))?,
            ),
        };
        let (name, sha256) = (name.to_owned(), sha256.clone());
        self.blocking(move |store| store.create_now(&name, content, &sha256))
            .await?;
        Ok(Stored::default())
    }

    async fn try_out(&self) -> Result<(), StoreError> {
        self.blocking(Self::try_out_now).await
    }

    async fn prepare_root(&self) -> Result<(), StoreError> {
        self.blocking(|store| {
            let shown = store.root.display().to_string();
            fs::create_dir_all(&store.root).map_err(|e| match e.kind() {
                ErrorKind::AlreadyExists => failed(&shown, "is not a folder"),
                _ => from_io(&shown, &e),
            })?;
            match store.root.parent() {
                Some(above) => sync_folder(above).map_err(|e| from_io(&shown, &e)),
                None => Ok(()),
            }
        })
        .await
    }

    async fn protections(&self) -> Vec<Protection> {
        vec![Protection {
            check: "protection",
            outcome: CheckOutcome::Fail,
            detail:
                "none: a local folder, whoever may write to it can remove or replace evidence; \
                     signatures and a remembered head show that it happened"
                    .to_owned(),
        }]
    }

    fn as_fetch(&self) -> &dyn Fetch {
        self
    }
}

/// A new file in `folder` that nobody else has, of this process or another one on the same disk.
fn fresh_file(folder: &Path, prefix: &str) -> std::io::Result<(Temporary, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{prefix}{}-{count}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((Temporary(path), file)),
            // Left by a process that had the same number.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{TempDir, store_suite};

    fn store(dir: &TempDir) -> FileStore {
        FileStore::at(&dir.path().join("archive").display().to_string()).expect("store")
    }

    #[tokio::test]
    async fn two_may_try_a_place_out_at_once() {
        let dir = TempDir::new();
        let store = store(&dir);
        for _ in 0..50 {
            let (a, b) = tokio::join!(store.try_out(), store.try_out());
            assert_eq!((a, b), (Ok(()), Ok(())));
        }
        let left = fs::read_dir(dir.path()).expect("folder");
        assert_eq!(left.count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn behaves_as_a_store() {
        let dir = TempDir::new();
        store_suite(&store(&dir)).await;
        let left = fs::read_dir(dir.path().join("archive/.tmp")).expect("folder");
        assert_eq!(left.count(), 0, "temporaries are left");
    }

    #[test]
    fn locations_are_paths_and_file_urls() {
        let url = |location| FileStore::at(location).map(|store| store.url());
        assert_eq!(url("/a/b"), Ok("file:///a/b".to_owned()));
        assert_eq!(url("file:///a/b"), Ok("file:///a/b".to_owned()));
        assert!(url("rel").expect("relative").ends_with("/rel"));
        for bad in ["s3://bucket/prefix", "file://host/a", "http://x", ""] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    async fn link_fails_with(link: LinkFn) -> Result<Stored, StoreError> {
        let dir = TempDir::new();
        let store = store(&dir).with_link(link);
        store.prepare_root().await.expect("root");
        let made = store
            .create("chain/x", Body::Bytes(b"x"), &Sha256Hex::of(b"x"))
            .await;
        assert_eq!(store.list("").await, Ok(vec![]), "nothing is half written");
        made
    }

    #[tokio::test]
    async fn a_file_system_without_links_is_refused() {
        let links: [LinkFn; 3] = [
            |_, _| Err(io::Error::from_raw_os_error(1)),
            |_, _| Err(io::Error::from_raw_os_error(95)),
            |_, _| Err(io::Error::from_raw_os_error(18)),
        ];
        for link in links {
            let made = link_fails_with(link).await;
            assert!(
                matches!(made, Err(StoreError::Unsuitable { .. })),
                "{made:?}"
            );
        }
        let denied = link_fails_with(|_, _| Err(io::Error::from_raw_os_error(13))).await;
        assert!(
            matches!(denied, Err(StoreError::Denied { .. })),
            "{denied:?}"
        );
    }

    #[tokio::test]
    async fn links_are_listed_and_never_followed() {
        let dir = TempDir::new();
        let store = store(&dir);
        store.prepare_root().await.expect("root");
        fs::write(dir.path().join("outside"), "secret").expect("write");
        std::os::unix::fs::symlink(dir.path(), store.root().join("evidence")).expect("link");
        std::os::unix::fs::symlink(dir.path().join("outside"), store.root().join("file"))
            .expect("link");
        let names: Vec<_> = store.list("").await.expect("list");
        let names: Vec<_> = names.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["evidence", "file"]);
        for name in ["evidence/outside", "file"] {
            let read = store.read(name, 100).await;
            assert!(matches!(read, Err(StoreError::Failed { .. })), "{read:?}");
        }
        let written = store
            .create("evidence/new", Body::Bytes(b"x"), &Sha256Hex::of(b"x"))
            .await;
        assert!(written.is_err());
        assert!(!dir.path().join("new").exists());
    }

    #[tokio::test]
    async fn a_root_that_is_not_there_is_absent() {
        let dir = TempDir::new();
        let listed = store(&dir).list("").await;
        assert!(
            matches!(listed, Err(StoreError::Absent { .. })),
            "{listed:?}"
        );
        fs::write(dir.path().join("archive"), "a file").expect("write");
        assert!(store(&dir).prepare_root().await.is_err());
    }

    #[tokio::test]
    async fn a_place_without_links_is_told_before_anything_is_made() {
        let dir = TempDir::new();
        let names = || fs::read_dir(dir.path()).expect("folder").count();
        let root = dir.path().join("a/b");
        let store = FileStore::at(&root.display().to_string()).expect("a path");
        assert_eq!(store.try_out().await, Ok(()));
        let store = store.with_link(|_, _| Err(io::Error::from_raw_os_error(95)));
        let unsuitable = store.try_out().await;
        assert!(
            matches!(&unsuitable, Err(StoreError::Unsuitable { detail, .. }) if detail.contains("S3")),
            "{unsuitable:?}"
        );
        assert_eq!(names(), 0);

        fs::write(dir.path().join("a"), "a file").expect("write");
        let below = store.try_out().await;
        assert!(matches!(below, Err(StoreError::Failed { .. })), "{below:?}");
    }
}
