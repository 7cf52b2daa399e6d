//! What goes on now, on a terminal's standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::console::Verbosity;
use crate::runner::event::Event;
use crate::runner::terminal::warn;

/// A bar that stays below everything that is printed; nothing where there is no terminal, or where
/// more or less is to be said than usual.
#[derive(Debug, Default)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// The bar for a report of this verbosity.
    pub fn new(verbosity: Verbosity) -> Progress {
        let is_shown = verbosity == Verbosity::Normal && std::io::stderr().is_terminal();
        Progress(is_shown.then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        }))
    }

    /// Whether there is a bar.
    pub fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Shows how far it is.
    pub fn show(&self, done: usize, total: usize, now: String) {
        if let Some(bar) = &self.0 {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(now);
            bar.tick();
        }
    }

    /// Lets something be printed above.
    pub fn above(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Says on standard error what the user is waiting for, if the event is of that kind.
    pub fn notice(&self, event: &Event) {
        let text = match event {
            Event::SetupAwaited { platform } => {
                format!("another run is setting up {platform}; waiting for it …")
            }
            Event::SetupStarted { platform } => format!("setting up {platform} …"),
            _ => return,
        };
        self.above(|| warn(&text));
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
