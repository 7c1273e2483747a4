//! What the program says: reports, progress, errors.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use serde_json::json;

use composer::Error;
use composer::update::Updated;

use crate::cli::ProgressStyle;

/// Prints an error, its causes and what to do about it, to standard error.
pub fn error(error: &Error) {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(source) = cause {
        let _ = writeln!(text, "  caused by: {source}");
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "hint: {hint}");
    }
    // Nobody is left to tell if this fails.
    let _ = io::stderr().write_all(visible(&text).as_bytes());
}

/// A text in which a hostile name does nothing to a terminal.
pub fn visible(text: &str) -> String {
    let mut visible = String::new();
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            visible.extend(character.escape_default());
        } else {
            visible.push(character);
        }
    }
    visible
}

/// Prints to standard output. A reader that has gone away is no error.
///
/// # Errors
/// When the output fails otherwise.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints on standard error what is usually printed on standard output.
pub fn print_beside(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(text.as_bytes())
}

/// What became of an image that was updated.
pub fn of_update(updated: &Updated) -> String {
    let mut text = String::new();
    for damage in &updated.repaired {
        let _ = writeln!(text, "repaired {damage}");
    }
    for number in &updated.written {
        let _ = writeln!(text, "wrote partition {number}");
    }
    if updated.table {
        text += "wrote the partition table\n";
    }
    if text.is_empty() {
        text += "nothing differs\n";
    }
    text
}

/// Progress over a known number of bytes.
#[derive(Debug)]
pub enum Progress {
    /// A bar on a terminal; hidden where there is none.
    Bar(ProgressBar),
    /// Lines of JSON: bytes done, bytes in all.
    Json(u64, u64),
}

impl Progress {
    /// Starts at 0 of `total` bytes.
    pub fn start(style: ProgressStyle, total: u64) -> Self {
        let visible = style == ProgressStyle::Auto && io::stderr().is_terminal();
        match style {
            ProgressStyle::Json => Self::Json(0, total),
            ProgressStyle::Auto | ProgressStyle::Never => {
                let target = if visible {
                    // Few redraws: the bar must not cost more than it shows.
                    ProgressDrawTarget::stderr_with_hz(10)
                } else {
                    ProgressDrawTarget::hidden()
                };
                let bar = ProgressBar::with_draw_target(Some(total), target);
                let template =
                    "{bar:20} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left";
                if let Ok(style) = BarStyle::with_template(template) {
                    bar.set_style(style);
                }
                // Short runs end before the first tick and show nothing.
                if visible {
                    bar.enable_steady_tick(Duration::from_millis(200));
                }
                Self::Bar(bar)
            }
        }
    }

    /// So many more bytes are done.
    pub fn advance(&mut self, bytes: u64) {
        match self {
            Self::Bar(bar) => bar.inc(bytes),
            Self::Json(done, total) => {
                *done += bytes;
                let line =
                    format!("{{\"event\":\"progress\",\"done\":{done},\"total\":{total}}}\n");
                let _ = io::stderr().write_all(line.as_bytes());
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Something that turns while nobody knows how long it takes. What is short shows nothing,
/// and so does what has no terminal.
#[derive(Debug)]
struct Spinner {
    bar: ProgressBar,
    /// Shows it after a while, unless it goes before.
    patience: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_millis(300);

impl Spinner {
    fn start(style: ProgressStyle, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = BarStyle::with_template(template) {
            bar.set_style(style);
        }
        let is_visible = style == ProgressStyle::Auto && io::stderr().is_terminal();
        let patience = is_visible.then(|| {
            let (gone, waits) = mpsc::channel();
            let shown = bar.clone();
            let thread = thread::spawn(move || {
                if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    shown.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
                    shown.enable_steady_tick(Duration::from_millis(200));
                }
            });
            (gone, thread)
        });
        Self { bar, patience }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some((gone, thread)) = self.patience.take() {
            drop(gone);
            // It only shows something.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

/// Tells what goes on as long as it lives.
#[derive(Debug)]
pub struct Busy(#[expect(dead_code, reason = "it turns")] Spinner);

impl Busy {
    /// This begins.
    pub fn with(style: ProgressStyle, what: &'static str) -> Self {
        let turning = Spinner::start(style, "{spinner} {msg} ({elapsed})");
        turning.bar.set_message(what);
        Self(turning)
    }
}

/// Tells which file systems are being made, of which nobody knows how long they take.
#[derive(Debug)]
pub struct Making {
    spinner: Spinner,
    is_json: bool,
    names: Mutex<BTreeSet<String>>,
}

impl Making {
    /// Nothing is being made.
    pub fn start(style: ProgressStyle) -> Self {
        Self {
            spinner: Spinner::start(style, "{spinner} making {msg} ({elapsed})"),
            is_json: style == ProgressStyle::Json,
            names: Mutex::default(),
        }
    }

    /// A program begins to make this one.
    pub fn begins(&self, name: &str) {
        self.change("making", name, |names| names.insert(name.to_owned()));
    }

    /// This one is made, or failed.
    pub fn ends(&self, name: &str) {
        self.change("made", name, |names| names.remove(name));
    }

    fn change(&self, event: &str, name: &str, change: impl FnOnce(&mut BTreeSet<String>) -> bool) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut names);
        let message = names.iter().map(String::as_str).collect::<Vec<_>>();
        if !message.is_empty() {
            self.spinner.bar.set_message(message.join(", "));
        }
        if self.is_json {
            let line = json!({ "event": event, "name": name });
            let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
        }
    }
}
