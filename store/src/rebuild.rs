//! Opening the catalogue, side by side with the checkpoint; and rebuilding it from its log.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::checkpoint::{self, Loaded};
use crate::engine::{Engine, EngineError, Tree};
use crate::engine_sled::SledEngine;
use crate::keeper::CHECKPOINT_NOTE;
use crate::open::{OpenError, Recovery, io_error};
use crate::records::RecordTable;
use crate::series_log::{self, LogContent};

/// The catalogue, opened or rebuilt.
pub(crate) type Usable = (Arc<dyn Engine>, Catalogue);

/// Reads checkpoint and catalogue, each on a core of its own.
pub(crate) fn load(
    directory: &Path,
    recovery: &mut Recovery,
) -> Result<(Option<Loaded>, Usable), OpenError> {
    let (loaded, opened) = std::thread::scope(|scope| {
        let loading = scope.spawn(|| checkpoint::load(&directory.join("checkpoint")));
        let opened = open_engine(&directory.join("catalogue"));
        (loading.join(), opened)
    });
    let loaded = loaded
        .unwrap_or_else(|_| Err(io::Error::other("reading it panicked")))
        .map_err(io_error("read the checkpoint in", directory))?;
    let (engine, content) = use_or_rebuild(directory, opened, loaded.as_ref(), recovery)?;
    let quiet = loaded.as_ref().map(|loaded| loaded.quiet.all_from(0)).unwrap_or_default();
    let quiet: HashSet<u32> = quiet.into_iter().map(|series| series.number).collect();
    Ok((loaded, (engine, catalogue_of(content, &quiet))))
}

/// What was found in an engine that opened.
struct Opened {
    engine: SledEngine,
    /// The checkpoint that it has everything of.
    noted: u64,
    content: LogContent,
}

fn open_engine(path: &Path) -> Result<Opened, EngineError> {
    let engine = SledEngine::open(path)?;
    let note = engine.get(Tree::Notes, CHECKPOINT_NOTE)?;
    let noted = note.and_then(|note| Some(u64::from_le_bytes(note.try_into().ok()?))).unwrap_or(0);
    let content = series_log::read_engine(&engine)?;
    Ok(Opened { engine, noted, content })
}

/// Makes the catalogue of what is known; series that are quiet are not in it.
fn catalogue_of(content: LogContent, quiet: &HashSet<u32>) -> Catalogue {
    let removed: HashSet<u32> = content.removed.into_iter().collect();
    let mut catalogue = Catalogue::default();
    for meta in &content.metas {
        catalogue.learn(meta);
    }
    for (series, labels) in content.series {
        if !removed.contains(&series) && !quiet.contains(&series) {
            catalogue.add(series, labels);
        }
    }
    catalogue.begin_at(quiet.iter().max().map_or(0, |last| last + 1));
    catalogue
}

/// Takes the engine into use, or sets it aside and rebuilds it from the catalogue's log.
fn use_or_rebuild(
    directory: &Path,
    opened: Result<Opened, EngineError>,
    loaded: Option<&Loaded>,
    recovery: &mut Recovery,
) -> Result<(Arc<dyn Engine>, LogContent), OpenError> {
    let path = directory.join("catalogue");
    let number = loaded.map_or(0, |loaded| loaded.number);
    let reason = match opened {
        Ok(opened) if opened.noted >= number => {
            return Ok((Arc::new(opened.engine), opened.content));
        }
        Ok(opened) => {
            format!("it has checkpoint {} but the store is at {number}", opened.noted)
        }
        Err(error) => error.to_string(),
    };
    tracing::error!(reason, "the catalogue does not open: set aside and rebuilt from its log");
    set_aside(&path)?;
    let failed = |what| {
        let path = path.clone();
        move |error: EngineError| io_error(what, &path)(io::Error::other(error.to_string()))
    };
    let engine = SledEngine::open(&path).map_err(failed("make a new catalogue in"))?;
    let records = RecordTable::new(Arc::new(engine));
    let log = directory.join("catalogue-log");
    let mut lost = 0;
    let content =
        series_log::read_log(&log, |batch| lost += u64::from(records.apply(batch).is_err()))
            .map_err(io_error("read the catalogue's log in", &log))?;
    let engine = records.into_engine();
    let series = content.series.iter().map(|(series, labels)| (*series, labels));
    let mut changes = series_log::group_changes(series_log::group_series(series));
    changes.extend(content.removed.iter().copied().map(series_log::removed_change));
    changes.extend(content.metas.iter().filter_map(series_log::meta_change));
    changes.push((Tree::Notes, CHECKPOINT_NOTE.to_vec(), Some(number.to_le_bytes().to_vec())));
    let filled = changes.chunks(200).try_for_each(|some| engine.apply(some));
    filled.and_then(|()| engine.sync()).map_err(failed("fill the new catalogue in"))?;
    recovery.damaged += content.damaged + lost;
    recovery.rebuilt_catalogue = Some(reason);
    Ok((engine, content))
}

/// Renames a damaged catalogue so that someone may look at it; only the newest one is kept.
fn set_aside(path: &Path) -> Result<(), OpenError> {
    if !path.exists() {
        return Ok(());
    }
    let aside = path.with_extension("damaged");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(io_error("remove", &aside))?;
    }
    fs::rename(path, &aside).map_err(io_error("set aside", path))
}
