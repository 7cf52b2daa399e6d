//! Log records: collected for the next answer, and written to the standard error.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::rpc::message::LogEntry;

/// The variable with the level of a step server's records; `RUST_LOG` stands in for it.
pub const LEVEL: &str = "ZEROBUFFER_LOG_LEVEL";

/// How many records wait for an answer; the oldest give way to newer ones.
const CAPACITY: usize = 2_000;

/// How long the message of a record may be, in characters: what an orchestrator sends is in it.
const LONGEST: usize = 16 * 1024;

/// The records since the previous answer: those of the whole process, or those of one connection,
/// which are then those of a span.
#[derive(Debug, Clone)]
pub struct Logs {
    collected: Arc<Mutex<Collected>>,
    span: Span,
}

#[derive(Debug, Default)]
struct Collected {
    entries: VecDeque<LogEntry>,
    dropped: usize,
}

impl Default for Logs {
    fn default() -> Self {
        Logs {
            collected: Arc::default(),
            span: Span::none(),
        }
    }
}

impl Logs {
    /// The records of one connection, apart from those of all others.
    pub fn of_connection(number: u64) -> Logs {
        // As an error, so that every level lets it pass at which there are records at all.
        let span = tracing::error_span!("connection", number);
        let collected = Arc::default();
        span.with_subscriber(|(id, dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>();
            if let Some(span) = registry.and_then(|registry| registry.span(id)) {
                let apart = Apart(Arc::clone(&collected));
                span.extensions_mut().insert(apart);
            }
        });
        Logs { collected, span }
    }

    /// The span that they are the records of, disabled if they are those of the whole process.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Takes the records out.
    pub fn take(&self) -> Vec<LogEntry> {
        let collected = std::mem::take(&mut *lock(&self.collected));
        let lost = (collected.dropped > 0).then(|| {
            let message = format!("{} earlier records were dropped", collected.dropped);
            entry(Level::WARN, message)
        });
        lost.into_iter().chain(collected.entries).collect()
    }
}

impl Collected {
    fn push(&mut self, entry: LogEntry) {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(entry);
    }
}

fn lock(collected: &Mutex<Collected>) -> MutexGuard<'_, Collected> {
    collected.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the records of a span are collected that does not leave them to the whole process.
struct Apart(Arc<Mutex<Collected>>);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let entry = entry(*event.metadata().level(), message.text());
        let mut spans = context.event_scope(event).into_iter().flatten();
        let apart = spans.find_map(|span| {
            let extensions = span.extensions();
            extensions.get::<Apart>().map(|apart| Arc::clone(&apart.0))
        });
        lock(apart.as_ref().unwrap_or(&self.collected)).push(entry);
    }
}

/// Collects the records of the whole process from now on, and writes them to the standard error.
pub fn install() -> Logs {
    let logs = Logs::default();
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (filter, complaint) = filter(variable(LEVEL).or_else(|| variable("RUST_LOG")));
    let to_stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let installed = tracing_subscriber::registry()
        .with(filter)
        .with(logs.clone())
        .with(to_stderr)
        .try_init();
    if installed.is_err() {
        tracing::warn!("another subscriber is installed: no records in the answers");
    }
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    logs
}

/// The filter for the value of a level variable, and what is wrong with that value. A bare level
/// is about this program's own records; those of its dependencies stay at warnings.
fn filter(value: Option<String>) -> (EnvFilter, Option<String>) {
    let own = |level: &str| EnvFilter::new(format!("warn,zerobuffer={level}"));
    let Some(value) = value else {
        return (own("info"), None);
    };
    if let Some(level) = level_name(&value) {
        return (own(level), None);
    }
    match EnvFilter::try_new(&value) {
        Ok(filter) if value.contains('=') => (filter, None),
        _ => {
            let complaint = format!(
                "log level {value:?}: expected trace, debug, info, warn, error, off or target=level; \
                 using info"
            );
            (own("info"), Some(complaint))
        }
    }
}

/// A level by the names that it has in the step servers of any language.
fn level_name(word: &str) -> Option<&'static str> {
    let level = match word.to_ascii_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" | "information" => "info",
        "warn" | "warning" => "warn",
        "error" | "critical" | "fatal" => "error",
        "off" | "none" => "off",
        _ => return None,
    };
    Some(level)
}

fn entry(level: Level, message: String) -> LogEntry {
    let level = match level {
        Level::TRACE => 0,
        Level::DEBUG => 1,
        Level::INFO => 2,
        Level::WARN => 3,
        Level::ERROR => 4,
    };
    LogEntry {
        timestamp: format!("{:.6}", jiff::Timestamp::now()),
        level,
        message,
    }
}

/// The message of an event, with its fields behind it.
#[derive(Default)]
struct Message {
    message: String,
    fields: String,
}

impl Message {
    fn text(self) -> String {
        let mut text = self.message + &self.fields;
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(log: impl FnOnce()) -> Vec<LogEntry> {
        let logs = Logs::default();
        let subscriber = tracing_subscriber::registry().with(logs.clone());
        tracing::subscriber::with_default(subscriber, log);
        logs.take()
    }

    #[test]
    fn records_are_taken_once_with_level_and_fields() {
        let logs = Logs::default();
        let subscriber = tracing_subscriber::registry().with(logs.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(size = 3, name = "x", "wrote {}", 7);
            tracing::error!("bad");
        });
        let entries = logs.take();
        assert_eq!(entries[0].message, "wrote 7 size=3 name=\"x\"");
        assert_eq!((entries[0].level, entries[1].level), (2, 4));
        assert_eq!(logs.take(), []);
    }

    #[test]
    fn connections_keep_their_records_apart() {
        let logs = Logs::default();
        let subscriber = tracing_subscriber::registry().with(logs.clone());
        tracing::subscriber::with_default(subscriber, || {
            let (one, two) = (Logs::of_connection(1), Logs::of_connection(2));
            tracing::info!("of nobody");
            one.span().in_scope(|| {
                tracing::info!("of one");
                tracing::info_span!("inner").in_scope(|| tracing::info!("of one, deeper"));
                two.span().in_scope(|| tracing::info!("of two"));
            });
            let messages = |logs: &Logs| -> Vec<String> {
                let entries = logs.take().into_iter();
                entries.map(|entry| entry.message).collect()
            };
            assert_eq!(messages(&one), ["of one", "of one, deeper"]);
            assert_eq!(messages(&two), ["of two"]);
            assert_eq!(messages(&logs), ["of nobody"]);
        });
    }

    #[test]
    fn times_are_utc_in_iso_8601() {
        let entries = collected(|| tracing::info!("now"));
        let time: jiff::Timestamp = entries[0].timestamp.parse().unwrap();
        let age = jiff::Timestamp::now().duration_since(time);
        assert!(age.as_secs().abs() < 60, "{age:?}");
        assert!(entries[0].timestamp.ends_with('Z'));
    }

    #[test]
    fn a_flood_of_records_is_bounded_and_says_so() {
        let entries = collected(|| {
            for i in 0..CAPACITY + 5 {
                tracing::info!("{i}");
            }
        });
        assert_eq!(entries.len(), CAPACITY + 1);
        assert!(
            entries[0].message.starts_with("5 earlier"),
            "{:?}",
            entries[0]
        );
        assert_eq!(entries[1].message, "5");
    }

    #[test]
    fn a_long_message_is_cut() {
        let entries = collected(|| {
            tracing::info!("{}", "é".repeat(LONGEST));
            tracing::info!("{}", "é".repeat(LONGEST + 1));
        });
        assert_eq!(entries[0].message, "é".repeat(LONGEST));
        assert_eq!(entries[1].message, "é".repeat(LONGEST) + "…");
    }

    #[test]
    fn levels_are_known_by_the_names_of_all_languages() {
        for (value, level) in [
            ("Information", "info"),
            ("WARNING", "warn"),
            ("debug", "debug"),
        ] {
            let (filter, complaint) = filter(Some(value.into()));
            assert!(filter.to_string().contains(level), "{filter}");
            assert_eq!(complaint, None);
        }
        assert_eq!(filter(Some("zerobuffer=debug".into())).1, None);
        assert!(filter(Some("loud".into())).1.is_some());
    }
}
