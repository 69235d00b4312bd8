//! A real browser, driven by `tests/browser/drive.mjs`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{Process, root};

/// A headless Chromium with one page.
pub struct Browser {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _process: Process,
}

impl Browser {
    pub fn start() -> Self {
        let folder = root().join("tests/browser");
        assert!(
            folder.join("node_modules/playwright-core").exists(),
            "the browser driver is not installed: cd tests/browser && npm ci"
        );
        let mut command = Command::new("node");
        command.arg("drive.mjs").current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("node", &mut command);
        let input = process.child().stdin.take().unwrap();
        let output = BufReader::new(process.child().stdout.take().unwrap());
        Self { input, output, _process: process }
    }

    /// Sends one command and returns the answer.
    #[track_caller]
    pub fn act(&mut self, command: &Value) -> Value {
        writeln!(self.input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the browser ended at {command}: {line}"));
        assert_eq!(answer["ok"], true, "{command}: {answer}");
        answer
    }

    #[track_caller]
    pub fn open(&mut self, url: &str) {
        self.act(&json!({"do": "open", "url": url}));
    }

    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        self.act(&json!({"do": "click", "selector": selector}));
    }

    #[track_caller]
    pub fn wait(&mut self, selector: &str) {
        self.act(&json!({"do": "wait", "selector": selector}));
    }

    #[track_caller]
    pub fn gone(&mut self, selector: &str) {
        self.act(&json!({"do": "gone", "selector": selector}));
    }

    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let answer = self.act(&json!({"do": "text", "selector": selector}));
        answer["text"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn count(&mut self, selector: &str) -> u64 {
        self.act(&json!({"do": "count", "selector": selector}))["count"].as_u64().unwrap()
    }

    /// Saves the page as it is at the three widths that matter, and refuses sideways scrolling.
    #[track_caller]
    pub fn shots(&mut self, folder: &Path, name: &str) {
        for (width, height) in [(390, 844), (1024, 768), (1440, 900)] {
            self.act(&json!({"do": "size", "width": width, "height": height}));
            let path = folder.join(format!("{name}-{width}.png"));
            self.act(&json!({"do": "shot", "path": path.to_str().unwrap()}));
            let wider = self.act(&json!({"do": "overflow"}))["pixels"].as_i64().unwrap();
            assert!(wider <= 0, "{name} is {wider} pixels wider than {width}");
        }
    }

    /// Returns what went wrong in the page's own programs.
    pub fn errors(&mut self) -> Vec<String> {
        let answer = self.act(&json!({"do": "errors"}));
        answer["errors"].as_array().unwrap().iter().map(ToString::to_string).collect()
    }
}
