//! Nagios' check result files: results by a folder that scripts write into.
//!
//! Source: Nagios Core 4.4.6 `base/checks.c` (`process_check_result_queue`,
//! `process_check_result_file`). A file is named `c` and six characters; it is read once `NAME.ok`
//! stands beside it. It holds lines `variable=value`, `#` begins a comment, an empty line ends a
//! result. Of the variables `host_name`, `service_description`, `start_time`, `finish_time`,
//! `early_timeout`, `exited_ok`, `return_code` and `output` mean something here; `file_time` tells
//! the age of all that follows.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use noroshi_model::{CheckId, Origin, Status, Timestamp};
use rustix::fs::OFlags;
use tokio_util::sync::CancellationToken;

use super::{Fate, Road, shortened, status_of};
use crate::action::PassiveResult;
use crate::checks::Checks;
use crate::command::unescape;

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many files are read at one look; the others wait for the next.
const FILES_MAX: usize = 1000;
/// How large a file may be: some tens of results with 64 KiB of output.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How many bytes of output are held at once.
const BYTES_AT_ONCE_MAX: usize = 32 << 20;
/// What stands beside a file that is whole.
const READY: &str = "ok";
/// What stands there while it is being read; one that was left by a kill is read again.
const TAKEN: &str = "taken";

/// Where check result files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultFilesSpec {
    /// The folder.
    pub folder: PathBuf,
    /// How old a file may be: what is older is removed unread.
    pub age_max: Duration,
}

impl ResultFilesSpec {
    /// How old a file may be: Nagios' `max_check_result_file_age`.
    pub const AGE_MAX: Duration = Duration::from_hours(1);
}

/// What files held.
#[derive(Debug, Default, PartialEq)]
struct Content {
    results: Vec<PassiveResult>,
    /// Why something in it was not taken.
    refused: Vec<(Fate, String)>,
    /// Files to be removed.
    taken: Vec<PathBuf>,
    /// Files that stay, because they cannot be renamed or removed.
    left: Vec<PathBuf>,
}

/// Takes results in from a folder until `stop`. Errors: the folder cannot be listed.
///
/// What cannot be taken or removed is told and left where it is: it keeps no other file waiting.
pub async fn serve_result_files(
    spec: &ResultFilesSpec,
    checks: Arc<Checks>,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut left = BTreeSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let (folder, known) = (spec.folder.clone(), left.clone());
        let listed = tokio::task::spawn_blocking(move || list(&folder, &known)).await??;
        left = listed.left;
        let mut found = listed.found;
        while !found.is_empty() {
            let (now, age_max) = (checks.now(), spec.age_max);
            let take = move || {
                let content = take(&mut found, age_max, now);
                (content, found)
            };
            let (mut content, rest) = tokio::task::spawn_blocking(take).await?;
            found = rest;
            // Of several results of one check the newest must be the last.
            content.results.sort_by_key(|result| result.at.unwrap_or(now));
            content.refuse_outdated(&checks, now);
            checks.hand_in(Road::ResultFiles, std::mem::take(&mut content.results)).await;
            let remove_all = move || {
                for path in std::mem::take(&mut content.taken) {
                    if let Err(error) = remove(&path) {
                        content.leave(path, &error);
                    }
                }
                content
            };
            let content = tokio::task::spawn_blocking(remove_all).await?;
            for (fate, what) in content.refused {
                checks.handed_in().note_refused(Road::ResultFiles, fate, what, now);
            }
            left.extend(content.left);
        }
    }
}

/// What stands in the folder.
struct Listed {
    /// Files that are whole, the oldest first.
    found: VecDeque<PathBuf>,
    /// Of those that were left, which are still there.
    left: BTreeSet<PathBuf>,
}

/// Lists the files that are whole, but for those that were `left`.
fn list(folder: &Path, left: &BTreeSet<PathBuf>) -> io::Result<Listed> {
    let context = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot list {}: {error}", folder.display()))
    };
    let (mut found, mut still_left) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(folder).map_err(context)? {
        let path = entry.map_err(context)?.path();
        let marks = |mark: &str| path.extension().is_some_and(|extension| extension == mark);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_name = stem.len() == 7 && stem.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_name && stem.starts_with('c') && (marks(READY) || marks(TAKEN)) {
            let path = path.with_extension("");
            if left.contains(&path) {
                still_left.insert(path);
                continue;
            }
            let changed = fs::symlink_metadata(&path).and_then(|data| data.modified());
            found.insert((changed.unwrap_or(SystemTime::UNIX_EPOCH), path));
            if found.len() >= FILES_MAX {
                break;
            }
        }
    }
    let found = found.into_iter().map(|(_, path)| path).collect();
    Ok(Listed { found, left: still_left })
}

/// Reads files from the front until they are many bytes, or all.
fn take(files: &mut VecDeque<PathBuf>, age_max: Duration, now: Timestamp) -> Content {
    let mut all = Content::default();
    let mut bytes = 0;
    while bytes < BYTES_AT_ONCE_MAX
        && let Some(path) = files.pop_front()
    {
        match claim(&path).and_then(|()| read(&path, age_max, now)) {
            Ok(content) => {
                bytes += content.results.iter().map(|result| result.output.len()).sum::<usize>();
                all.results.extend(content.results);
                all.refused.extend(content.refused);
                all.taken.push(path);
            }
            Err(error) => all.leave(path, &error),
        }
    }
    all
}

impl Content {
    /// Takes out what is older than the last result of its check: it says nothing of now.
    fn refuse_outdated(&mut self, checks: &Checks, now: Timestamp) {
        let board = checks.board.lock();
        let refused = &mut self.refused;
        self.results.retain(|result| {
            let heard = board.entries.get(&result.id).and_then(|entry| entry.state.heard);
            // One from the future was heard before the clock was set back.
            let heard = heard.filter(|heard| *heard <= now);
            let is_old = result.at.zip(heard).is_some_and(|(at, heard)| at < heard);
            if is_old {
                let what = format!("{}: a newer result came before it", result.id);
                refused.push((Fate::TooOld, shortened(&what)));
            }
            !is_old
        });
    }

    /// Tells that a file stays where it is.
    fn leave(&mut self, path: PathBuf, error: &io::Error) {
        let what = format!("{error}; remove it by hand");
        self.refused.push((Fate::Unreadable, shortened(&what)));
        self.left.push(path);
    }
}

/// Makes a file ours before it is read: one that cannot be removed would be read for ever.
fn claim(path: &Path) -> io::Result<()> {
    let (ready, taken) = (path.with_extension(READY), path.with_extension(TAKEN));
    match fs::rename(&ready, &taken) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && taken.exists() => Ok(()),
        Err(error) => {
            let what = format!("cannot rename {}: {error}", ready.display());
            Err(io::Error::new(error.kind(), what))
        }
        Ok(()) => Ok(()),
    }
}

/// Removes a file and what stands beside it.
fn remove(path: &Path) -> io::Result<()> {
    for path in [path.to_owned(), path.with_extension(TAKEN)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("cannot remove {}: {error}", path.display());
                return Err(io::Error::new(error.kind(), what));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads a file; what is wrong with it stands in what is returned.
fn read(path: &Path, age_max: Duration, now: Timestamp) -> io::Result<Content> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let refused = |fate, what: String| {
        Ok(Content { refused: vec![(fate, format!("{name}: {what}"))], ..Content::default() })
    };
    // No link is followed: the server may read what whoever wrote it may not.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let (file, metadata): (File, fs::Metadata) =
        match opened.and_then(|file| file.metadata().map(|metadata| (file, metadata))) {
            Ok(opened) => opened,
            Err(error) => return refused(Fate::Unreadable, error.to_string()),
        };
    if !metadata.is_file() {
        return refused(Fate::Unreadable, "is no file".to_owned());
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes) {
        return refused(Fate::Unreadable, error.to_string());
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return refused(Fate::Unreadable, format!("has more than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let changed = metadata.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
    if changed > age_max {
        return refused(Fate::TooOld, format!("was written {} s ago", changed.as_secs()));
    }
    Ok(parse(&String::from_utf8_lossy(&bytes), &name, age_max, now))
}

/// One result while its lines are read.
#[derive(Default)]
struct Lines<'a> {
    host: Option<&'a str>,
    check: Option<&'a str>,
    finished: Option<f64>,
    code: Option<i64>,
    is_timed_out: bool,
    is_killed: bool,
    output: &'a str,
}

/// Reads what a file of name `name` says.
fn parse(text: &str, name: &str, age_max: Duration, now: Timestamp) -> Content {
    let mut content = Content::default();
    let mut lines = Lines::default();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            match std::mem::take(&mut lines).result() {
                Some(Ok(result)) => content.results.push(result),
                Some(Err(what)) => content.refused.push((Fate::Unreadable, shortened(&what))),
                None => {}
            }
            continue;
        }
        let Some((variable, value)) = line.split_once('=') else {
            let what = format!("{name}: {line:?} is no variable=value");
            content.refused.push((Fate::Unreadable, shortened(&what)));
            continue;
        };
        let number = value.trim().parse::<i64>().ok();
        match variable {
            "file_time" => {
                let age = number.map_or(0, |at| now.as_secs() - at);
                if u64::try_from(age).is_ok_and(|age| age > age_max.as_secs()) {
                    let what = format!("{name}: file_time is {age} s ago");
                    content.refused.push((Fate::TooOld, what));
                    return content;
                }
            }
            "host_name" => lines.host = Some(value),
            "service_description" => lines.check = Some(value),
            "finish_time" => lines.finished = value.trim().parse().ok(),
            "return_code" => lines.code = number,
            "early_timeout" => lines.is_timed_out = number == Some(1),
            "exited_ok" => lines.is_killed = number == Some(0),
            "output" => lines.output = value,
            _ => {}
        }
    }
    content
}

impl Lines<'_> {
    /// Makes the result; `None` of lines that name nothing, an error when what names something is
    /// not whole.
    fn result(self) -> Option<Result<PassiveResult, String>> {
        let host = self.host.filter(|host| !host.is_empty())?;
        let check = self.check.filter(|check| !check.is_empty());
        let id = check.map_or_else(|| CheckId::host(host), |check| CheckId::check(host, check));
        let Some(code) = self.code else {
            return Some(Err(format!("{id}: there is no return_code")));
        };
        let status = status_of(check.is_some(), code);
        let is_abnormal = self.is_timed_out || self.is_killed || status.is_none();
        let failed = if check.is_some() { Status::Critical } else { Status::Down };
        let mut output = unescape(self.output);
        if is_abnormal && output.trim().is_empty() {
            output = match (self.is_timed_out, self.is_killed) {
                (true, _) => "timed out".to_owned(),
                (false, true) => "did not exit properly".to_owned(),
                (false, false) => format!("exited with {code}, which means nothing"),
            };
        }
        let status = status.filter(|_| !is_abnormal).unwrap_or(failed);
        let at = self.finished.filter(|at| at.is_finite() && *at > 0.0);
        let at = at.map(Timestamp::from_secs_f64);
        Some(Ok(PassiveResult { id, status, output, at, origin: Origin::Passive }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn parsed(text: &str) -> Vec<String> {
        let content = parse(text, "cABCDEF", Duration::from_hours(1), NOW);
        let results = content.results.iter().map(|result| {
            let at = result.at.map_or_else(|| "now".to_owned(), |at| at.as_secs().to_string());
            format!("{} {} {at} {:?}", result.id, result.status, result.output)
        });
        let refused =
            content.refused.iter().map(|(fate, what)| format!("{} {what}", fate.as_str()));
        results.chain(refused).collect()
    }

    #[test]
    fn results_are_read_as_nagios_writes_them() {
        let text = "### Active Check Result File ###\nfile_time=1799999990\n\n\
                    ### Nagios Service Check Result ###\n# Time: Fri Jan 15 08:00:00 2027\n\
                    host_name=web1\nservice_description=disk\ncheck_type=1\ncheck_options=0\n\
                    scheduled_check=1\nreschedule_check=1\nlatency=0.1\n\
                    start_time=1799999988.5\nfinish_time=1799999989.250000\nearly_timeout=0\n\
                    exited_ok=1\nreturn_code=1\noutput=a=b | c=1\\ntwo\\n\n\n\
                    host_name=web1\nreturn_code=2\noutput=gone\n";
        assert_eq!(
            parsed(text),
            [r#"web1/disk warning 1799999989 "a=b | c=1\ntwo\n""#, r#"web1 down now "gone""#]
        );
    }

    #[test]
    fn what_did_not_end_as_it_should_is_a_problem() {
        let result = |more: &str| format!("host_name=a\nservice_description=b\n{more}\n");
        let cases = [
            ("return_code=0\nearly_timeout=1", r#"a/b critical now "timed out""#),
            ("return_code=0\nexited_ok=0", r#"a/b critical now "did not exit properly""#),
            ("return_code=127", r#"a/b critical now "exited with 127, which means nothing""#),
            ("return_code=-1\noutput=odd", r#"a/b critical now "odd""#),
            ("output=x", "unreadable a/b: there is no return_code"),
            ("return_code=0\nnonsense", r#"unreadable cABCDEF: "nonsense" is no variable=value"#),
        ];
        for (more, expected) in cases {
            assert!(parsed(&result(more)).contains(&expected.to_owned()), "{more}");
        }
        assert_eq!(parsed("return_code=0\noutput=for nobody\n"), Vec::<String>::new());
        let old = "file_time=1799996399\nhost_name=a\nreturn_code=0\n";
        assert_eq!(parsed(old), ["too_old cABCDEF: file_time is 3601 s ago"]);
    }

    #[test]
    fn only_whole_files_are_taken_and_no_links() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("cABCDEF", "host_name=a\nreturn_code=0\n");
        put("cNOTYET", "host_name=a\nreturn_code=0\n");
        put("cABCDEF.ok", "");
        // Left by a server that was killed while reading.
        put("cKILLED.taken", "");
        put("another.ok", "");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("cLINKED")).unwrap();
        put("cLINKED.ok", "");
        let found = list(folder.path(), &BTreeSet::new()).unwrap().found;
        let mut names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["cABCDEF", "cKILLED", "cLINKED"]);
        let hour = Duration::from_hours(1);
        let link = read(&folder.path().join("cLINKED"), hour, NOW).unwrap();
        assert_eq!(link.refused[0].0, Fate::Unreadable);
        let path = folder.path().join("cABCDEF");
        claim(&path).unwrap();
        claim(&path).unwrap();
        assert_eq!(read(&path, hour, NOW).unwrap().results.len(), 1);
        assert_eq!(read(&path, Duration::ZERO, NOW).unwrap().refused[0].0, Fate::TooOld);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(claim(&path).is_err());
        let large = vec![b'#'; FILE_BYTES_MAX as usize + 1];
        fs::write(&path, large).unwrap();
        assert_eq!(read(&path, hour, NOW).unwrap().refused[0].0, Fate::Unreadable);
    }

    /// A folder of the same name, and two results of one check, the older one later by name.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_removed_keeps_nothing_waiting_and_the_newest_result_counts() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir_all(folder.path().join("cAAAAAA/full")).unwrap();
        put("cAAAAAA.ok", "");
        let probe = crate::Probe::Passive(crate::PassiveProbe::default());
        let house = crate::harness::House::start(crate::Site {
            hosts: vec![crate::HostSpec::new("web1", "192.0.2.1")],
            checks: vec![crate::CheckSpec::new(CheckId::check("web1", "job"), probe)],
            ..crate::Site::default()
        });
        // The clock of the test stands at 1,800,000,000.
        let result = |name: &str, finished: u64, code: u8| {
            let text = format!(
                "host_name=web1\nservice_description=job\nfinish_time={finished}.5\n\
                 return_code={code}\noutput=code {code}\n"
            );
            put(name, &text);
            put(&format!("{name}.ok"), "");
        };
        result("cCCCCCC", 1_799_999_990, 2);
        result("cBBBBBB", 1_799_999_991, 0);
        let (stop, checks) = (CancellationToken::new(), Arc::clone(&house.checks));
        let age_max = Duration::from_hours(24 * 365 * 100);
        let spec = ResultFilesSpec { folder: folder.path().to_owned(), age_max };
        let token = stop.clone();
        let serving = tokio::spawn(async move { serve_result_files(&spec, checks, token).await });
        let view = house.wait("web1/job", |view| view.output == "code 0").await;
        assert_eq!(view.status, Some(Status::Ok));
        result("cDDDDDD", 1_799_999_989, 1);
        let is_there = |name: &str| folder.path().join(name).exists();
        while is_there("cDDDDDD") || is_there("cBBBBBB") || is_there("cCCCCCC") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A result older than the last one that came says nothing of now.
        let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
        assert_eq!(view.output, "code 0");
        assert!(is_there("cAAAAAA") && !serving.is_finished());
        let complaints = house.checks.handed_in().complaints(Timestamp::MIN);
        let of_folder = complaints.iter().filter(|complaint| complaint.what.contains("cAAAAAA"));
        assert!(of_folder.clone().count() == 2, "{complaints:?}");
        assert!(of_folder.clone().all(|complaint| complaint.count == 1), "{complaints:?}");
        stop.cancel();
        serving.await.unwrap().unwrap();
        house.stop().await;
    }
}
