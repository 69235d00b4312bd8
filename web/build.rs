//! Builds the browser program and writes the table of its files that is compiled in.
//!
//! `npm ci` runs only when the lock file differs from the one that filled `node_modules`; vite
//! runs when a source changed (cargo sees to that). Without Node, `SKIP_UI_BUILD=1` builds a
//! server whose page says that the browser program is missing.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use sha2::{Digest as _, Sha256};

/// Holds the lock file that `node_modules` was installed from. npm empties the folder first, so
/// an installation that was cut off leaves none.
const STAMP: &str = "node_modules/.noroshi-installed";
/// Oldest Node of its line that vite 8 runs on (its package.json, "engines").
const NODE_MIN: (u32, u32) = (20, 19);
const NODE_22_MIN: (u32, u32) = (22, 12);
const HINT: &str = "install Node.js 20.19 or newer (https://nodejs.org), \
                    or build without the browser program: SKIP_UI_BUILD=1 cargo build";

fn main() {
    if let Err(message) = build() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let ui = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("ui");
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=SKIP_UI_BUILD");
    println!("cargo::rerun-if-changed=build.rs");
    let is_skipped = env::var_os("SKIP_UI_BUILD").is_some_and(|value| value != "0");
    if is_skipped || !ui.join("package.json").exists() {
        println!("cargo::rerun-if-changed={}", ui.join("package.json").display());
        return write_table(&out, Vec::new());
    }
    watch(&ui)?;
    let dist = out.join("ui");
    {
        // Two cargos at once would install into one folder. A lock on the manifest, because npm
        // replaces everything inside node_modules.
        let manifest = open(&ui.join("package.json"))?;
        manifest.lock().map_err(|error| format!("cannot lock {}: {error}", ui.display()))?;
        install(&ui)?;
        bundle(&ui, &dist)?;
    }
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    write_table(&out, files)
}

fn variable(name: &str) -> Result<std::ffi::OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))
}

/// Names to cargo what the bundle is made from: all in the folder but what is made.
fn watch(ui: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", ui.display());
    for entry in fs::read_dir(ui).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_made = ["node_modules", "dist", "coverage"].contains(&name.as_str());
        if !is_made && !name.starts_with('.') {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    Ok(())
}

/// Installs the packages of the lock file, unless they are.
fn install(ui: &Path) -> Result<(), String> {
    check_node()?;
    let lock = fs::read(ui.join("package-lock.json"))
        .map_err(|error| format!("cannot read web/ui/package-lock.json: {error}"))?;
    if fs::read(ui.join(STAMP)).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--prefer-offline"]);
    run(npm.current_dir(ui), "installing the browser program's packages (npm ci)")?;
    fs::write(ui.join(STAMP), lock).map_err(|error| format!("cannot write {STAMP}: {error}"))
}

fn check_node() -> Result<(), String> {
    let found = Command::new("node").arg("--version").output();
    let Ok(output) = found else {
        return Err(format!(
            "the browser program in web/ui needs Node.js, which was not found; {HINT}"
        ));
    };
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_fit = match version.0 {
        20 => version >= NODE_MIN,
        _ => version >= NODE_22_MIN,
    };
    if is_fit {
        return Ok(());
    }
    Err(format!("the browser program in web/ui cannot be built by Node.js {text}; {HINT}"))
}

fn bundle(ui: &Path, dist: &Path) -> Result<(), String> {
    let mut vite = Command::new("node");
    vite.args(["node_modules/vite/bin/vite.js", "build", "--emptyOutDir", "--outDir"]).arg(dist);
    run(vite.current_dir(ui), "building the browser program (vite build)")
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{what} failed: {error}; {HINT}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{what} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said)))
}

/// Lists the files below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes `assets.rs`: an array expression of `Asset`s.
fn write_table(out: &Path, files: Vec<PathBuf>) -> Result<(), String> {
    let dist = out.join("ui");
    let mut table = String::from("&[\n");
    for file in files {
        let relative = file.strip_prefix(&dist).unwrap_or(&file).to_string_lossy().into_owned();
        let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let gzip = match shrink(&bytes) {
            Some(shrunk) => {
                let path = out.join(format!("gzip-{}", relative.replace('/', "-")));
                fs::write(&path, shrunk).map_err(|error| format!("{}: {error}", path.display()))?;
                format!("Some(include_bytes!({}))", quoted(&path))
            }
            None => "None".to_owned(),
        };
        let digest = Sha256::digest(&bytes);
        let etag: String = digest.iter().take(8).fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        });
        writeln!(
            table,
            "Asset {{ path: {:?}, mime: {:?}, etag: \"\\\"{etag}\\\"\", \
             bytes: include_bytes!({}), gzip: {gzip} }},",
            format!("/{relative}"),
            mime(&relative),
            quoted(&file),
        )
        .map_err(|error| error.to_string())?;
    }
    table.push(']');
    let path = out.join("assets.rs");
    fs::write(&path, table).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a path as a string literal.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// Compresses; `None` when that saves less than a tenth (pictures, fonts).
fn shrink(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).ok()?;
    let shrunk = encoder.finish().ok()?;
    (shrunk.len() * 10 < bytes.len() * 9).then_some(shrunk)
}

fn mime(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
