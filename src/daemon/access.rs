//! How commands on the server's own machine reach it: an address and a key in the data folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;

/// File in the data folder: the key and the address, a line each; readable by its owner only.
const FILE: &str = "local-access";

/// Address and key of the server that runs on a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalAccess {
    /// Where it listens.
    pub(crate) url: String,
    /// A key with the role of an admin.
    pub(crate) token: String,
}

impl LocalAccess {
    /// Reads what a server left; `None` when none did or this user may not know.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join(FILE)).ok()?;
        let mut lines = text.lines();
        Some(Self { token: lines.next()?.to_owned(), url: lines.next()?.to_owned() })
    }

    /// Leaves it for commands of the same user.
    pub(super) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join(FILE);
        let mut file = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        writeln!(file, "{}\n{}", self.token, self.url)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_read_back_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(LocalAccess::read(folder.path()), None);
        let access = LocalAccess { url: "http://127.0.0.1:1".into(), token: "t".into() };
        // A file that others could read is closed to them.
        fs::write(folder.path().join(FILE), "old").unwrap();
        access.write(folder.path()).unwrap();
        assert_eq!(LocalAccess::read(folder.path()), Some(access));
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
